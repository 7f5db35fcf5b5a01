#pragma once
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "sdg/core/tensor.h"
#include "sdg/nn/layers.h"

namespace sdg::network {

/// Where it stands among the tensors of a network.
inline constexpr const char* kProjectorPrefix = "projector.";

/// What brings a network's tokens to the width of another's features, to be aligned with them: Linear, SiLU, Linear,
/// SiLU, Linear (REPA, arXiv 2410.06940, section 4). Part of training alone: images are drawn without it. State-dict
/// names: 0, 2, 4.
class ProjectorImpl : public torch::nn::Module {
 public:
  /// Initial weights are a function of (seed, name): Xavier uniform, biases 0, as in the public code.
  ProjectorImpl(int64_t in, int64_t hidden, int64_t out, uint64_t seed);
  Tensor forward(const Tensor& x) const;  ///< [..., in] -> [..., out]

 private:
  nn::Linear first_{nullptr}, second_{nullptr}, third_{nullptr};
};
TORCH_MODULE(Projector);

/// The loss of each image, [n]: minus the cosine between projected tokens and features, mean over places
/// (nn/alignment.h). tokens [n, L, D] without the extra ones; features [n, L, Z] of the same places, or [n, 1, Z] of
/// whole images, with which the projection of the tokens' mean is aligned. Throws Error for other shapes.
Tensor alignment_losses(const Projector& projector, const Tensor& tokens, const Tensor& features);

}  // namespace sdg::network
