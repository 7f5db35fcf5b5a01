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

/// LayerNorm over the last dimension with scale and shift.
class LayerNormImpl : public torch::nn::Module {
 public:
  LayerNormImpl(int64_t dim, double eps, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;

  Tensor weight, bias;  ///< [dim]; 1 and 0 until filled

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

/// Convolution with odd square kernel, stride 1, that keeps the size.
class Conv2dImpl : public torch::nn::Module {
 public:
  Conv2dImpl(int64_t in, int64_t out, int64_t kernel, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;

  Tensor weight;  ///< [out, in, kernel, kernel]
  Tensor bias;    ///< [out]
};
TORCH_MODULE(Conv2d);

/// Adds an empty child, for state-dict names such as "adaLN_modulation.1.weight" whose first parts hold nothing.
torch::nn::Module& add_scope(torch::nn::Module& parent, const std::string& name);

}  // namespace sdg::nn
