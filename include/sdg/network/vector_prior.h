#pragma once
#include <map>
#include <string>
#include <vector>

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "sdg/core/rng.h"
#include "sdg/core/tensor.h"
#include "sdg/nn/layers.h"

namespace sdg::network {

/// Sizes of a VectorField.
struct VectorFieldSize {
  int64_t dim = 0;      ///< of the vectors
  int64_t width = 512;  ///< inside
  int64_t blocks = 3;
};

/// The velocity of vectors on the constant-velocity path: residual blocks, each a norm, a linear map, what the time
/// says, SiLU and a linear map that begins at zero, as the representation generator of RCG (Li et al., 2023, arXiv
/// 2312.03701, appendix) is built.
class VectorFieldImpl : public torch::nn::Module {
 public:
  explicit VectorFieldImpl(const VectorFieldSize& size);
  /// x_t [N, D], t [N] -> velocity [N, D]
  Tensor forward(const Tensor& x_t, const Tensor& t) const;
  const VectorFieldSize& size() const { return size_; }

 private:
  struct Block {
    nn::LayerNorm norm{nullptr};
    nn::Linear in{nullptr}, time{nullptr}, out{nullptr};
  };
  VectorFieldSize size_;
  nn::Linear input_{nullptr}, time0_{nullptr}, time2_{nullptr}, output_{nullptr};
  std::vector<Block> blocks_;
  nn::LayerNorm norm_{nullptr};
};
TORCH_MODULE(VectorField);

/// Every weight is a function of (seed, its name); at first the velocity is zero.
void initialize(VectorFieldImpl& field, uint64_t seed);

/// Vectors as a field sees them, and as they are told.
struct VectorScale {
  Tensor mean;        ///< float32 [D]
  double spread = 1;  ///< root of the mean variance of a number
  double length = 0;  ///< of each vector, where all have the same; 0 elsewhere
};
/// Of rows [R, D] of which row r counts weights[r] times. Throws Error for rows that are all alike.
VectorScale scale_of(const Tensor& rows, const Tensor& weights);

/// Draws vectors like those that the images of a run are told, which no image has been told.
struct VectorPrior {
  VectorField field{nullptr};
  VectorScale scale;

  /// [n, D] on `device`, the field's: noise to vectors by Heun's method. Row i is a function of (seed, samples[i]).
  Tensor draw(uint64_t seed, const std::vector<int64_t>& samples, const at::Device& device) const;
  void to(const at::Device& device);
  /// field.* and scale.*
  std::map<std::string, Tensor> tensors() const;
  /// Throws Error, naming `where`, for what is missing or of another shape.
  static VectorPrior of(const VectorFieldSize& size, const std::map<std::string, Tensor>& tensors,
                        const std::string& where);
};

}  // namespace sdg::network
