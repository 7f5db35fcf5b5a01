#pragma once
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "sdg/cludi/options.h"
#include "sdg/core/tensor.h"
#include "sdg/nn/layers.h"

namespace sdg::cludi {

/// The masks of one forward pass in training: a function of (seed, step, row, place in the network).
struct DropoutDraw {
  uint64_t seed = 0, step = 0;
  std::vector<int64_t> samples;  ///< [C * B], copy by copy
};

/// One head: K centres, which make an assignment an embedding, and the layers that make an embedding logits.
class HeadImpl : public torch::nn::Module {
 public:
  HeadImpl(int64_t embedding, int64_t clusters, bool nonlinear);
  Tensor forward(const Tensor& z) const;  ///< [..., E] -> [..., K]

  nn::Linear first{nullptr}, second{nullptr};  ///< "0" and, where nonlinear, "2"
};
TORCH_MODULE(Head);

/// CLUDI's network: estimates the embedding of each row's assignment from a noised one, the row's features, the noise
/// level and the last estimate. Each row is looked at alone. State-dict names are those of the public code
/// (clusters_centers [1, K, E], time_embed, data_input_proj, cluster_input_proj, network, norm, final_layer,
/// last_layer; with multiple_k also …2, …3 and weights [3]), without the tensors that it never uses.
/// F features, E embedding, D = F + F / 2, C copies of B rows.
class DenoiserImpl : public torch::nn::Module {
 public:
  DenoiserImpl(int64_t features, int64_t clusters, const ModelOptions& options);

  /// The features' part of the input, the same at every level: features [C, B, F] (C = 1 serves any number of copies),
  /// which are brought to length 1, -> [C, B, F].
  Tensor conditions(const Tensor& features, const DropoutDraw* dropout = nullptr) const;
  /// z_n, last_estimate [C, B, E], conditions [C or 1, B, F], n int64 [C] -> [C, B, E], not clamped.
  Tensor forward(const Tensor& z_n, const Tensor& conditions, const Tensor& n, const Tensor& last_estimate,
                 const DropoutDraw* dropout = nullptr) const;
  /// z [..., E] -> [..., K of the head]
  Tensor logits(const Tensor& z, size_t head = 0) const;
  /// An assignment [..., K of the head] as an embedding: sqrt(E) times the direction of the mean of unit centres.
  Tensor embedding(const Tensor& assignment, size_t head = 0) const;
  /// The embeddings of all heads' assignments, weighted by softmax(weights / (0.1 |weights|)); of one head its own.
  Tensor embedding(const std::vector<Tensor>& assignments) const;
  /// Unit centres [K, E] of a head.
  Tensor unit_centers(size_t head = 0) const;

  /// From now on products are computed so; what comes back stays float32. In bf16 and with a gradient, copies of the
  /// weights are kept until forget_casts(): call it whenever weights have moved.
  void compute_in(Precision precision) { precision_ = precision; }

  size_t heads() const { return heads_.size(); }
  int64_t features() const { return features_; }
  int64_t embedding_width() const { return options_.embedding; }

 private:
  Tensor dropped(const Tensor& h, const DropoutDraw* draw, std::string_view place) const;

  PrecisionScope scope(const Tensor& x) const;

  ModelOptions options_;
  int64_t features_;
  Precision precision_ = Precision::kFloat32;
  nn::Linear time0_{nullptr}, time2_{nullptr}, data0_{nullptr}, data2_{nullptr}, data4_{nullptr};
  nn::Linear cluster0_{nullptr}, cluster2_{nullptr}, cluster4_{nullptr}, final_{nullptr};
  nn::LayerNorm cluster3_{nullptr}, norm_{nullptr};
  std::vector<nn::Linear> network_;
  std::vector<Head> heads_;
  std::vector<Tensor> centers_;  // [1, K, E] each
  Tensor weights_;               // [3]; undefined with one head
};
TORCH_MODULE(Denoiser);

/// PyTorch's own initial values, as functions of (seed, name): layers uniform within 1 / sqrt(fan_in), norms the
/// identity; centres N(0, 1), weights N(0, 1).
void initialize(DenoiserImpl& denoiser, uint64_t seed);

}  // namespace sdg::cludi
