#pragma once
/// @file
/// Parameter holders. Unlike torch::nn's they take a device, so that a network can be made on the meta device without
/// memory, and they draw no random numbers: weights are zero until nn/init.h or load_weights fills them.
#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include "sdg/core/tensor.h"

namespace sdg::nn {

/// y = x W^T + b, weight [out, in].
class LinearImpl : public torch::nn::Module {
 public:
  LinearImpl(int64_t in, int64_t out, bool with_bias = true, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;

  Tensor weight;  ///< [out, in]
  Tensor bias;    ///< [out]; undefined without a bias
};
TORCH_MODULE(Linear);

/// LayerNorm over the last dimension with scale and shift; or, as kRms, x / sqrt(mean x^2 + eps) with a scale (Zhang
/// and Sennrich, arXiv 1910.07467).
enum class NormKind { kLayer, kRms };
class LayerNormImpl : public torch::nn::Module {
 public:
  LayerNormImpl(int64_t dim, double eps, const at::TensorOptions& where = {}, NormKind kind = NormKind::kLayer);
  Tensor forward(const Tensor& x) const;

  Tensor weight;  ///< [dim]; 1 until filled
  Tensor bias;    ///< [dim]; 0 until filled; undefined as kRms

 private:
  double eps_;
};
TORCH_MODULE(LayerNorm);

/// A table of rows, weight [rows, dim].
class EmbeddingImpl : public torch::nn::Module {
 public:
  EmbeddingImpl(int64_t rows, int64_t dim, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& ids) const;

  Tensor weight;  ///< [rows, dim]
};
TORCH_MODULE(Embedding);

/// Normalises groups of neighbouring channels over their pixels (Wu and He, "Group normalization", 2018), with scale
/// and shift of every channel. `channels` must be a multiple of `groups`.
class GroupNormImpl : public torch::nn::Module {
 public:
  GroupNormImpl(int64_t groups, int64_t channels, double eps, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;  ///< [N, C, ...] -> [N, C, ...]

  Tensor weight, bias;  ///< [C]; 1 and 0 until filled

 private:
  int64_t groups_;
  double eps_;
};
TORCH_MODULE(GroupNorm);

/// Convolution with odd square kernel, padded by half of it: stride 1 keeps the size, stride 2 halves it.
class Conv2dImpl : public torch::nn::Module {
 public:
  Conv2dImpl(int64_t in, int64_t out, int64_t kernel, const at::TensorOptions& where = {}, int64_t stride = 1);
  Tensor forward(const Tensor& x) const;

  Tensor weight;  ///< [out, in, kernel, kernel]
  Tensor bias;    ///< [out]

 private:
  int64_t stride_;
};
TORCH_MODULE(Conv2d);

/// Adds an empty child, for state-dict names such as "adaLN_modulation.1.weight" whose first parts hold nothing.
torch::nn::Module& add_scope(torch::nn::Module& parent, const std::string& name);

}  // namespace sdg::nn
