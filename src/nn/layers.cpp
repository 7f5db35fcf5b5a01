#include "sdg/nn/layers.h"

#include "sdg/nn/init.h"

namespace sdg::nn {

LinearImpl::LinearImpl(int64_t in, int64_t out, bool with_bias, const at::TensorOptions& where) {
  weight = register_parameter("weight", initial_zeros({out, in}, where));
  if (with_bias) bias = register_parameter("bias", initial_zeros({out}, where));
}

Tensor LinearImpl::forward(const Tensor& x) const {
  return at::linear(x, weight, bias);
}

LayerNormImpl::LayerNormImpl(int64_t dim, double eps, const at::TensorOptions& where) : eps_(eps) {
  weight = register_parameter("weight", at::ones({dim}, where));
  bias = register_parameter("bias", initial_zeros({dim}, where));
}

Tensor LayerNormImpl::forward(const Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, eps_);
}

EmbeddingImpl::EmbeddingImpl(int64_t rows, int64_t dim, const at::TensorOptions& where) {
  weight = register_parameter("weight", initial_zeros({rows, dim}, where));
}

Tensor EmbeddingImpl::forward(const Tensor& ids) const {
  return at::embedding(weight, ids);
}

Conv2dImpl::Conv2dImpl(int64_t in, int64_t out, int64_t kernel, const at::TensorOptions& where) {
  weight = register_parameter("weight", initial_zeros({out, in, kernel, kernel}, where));
  bias = register_parameter("bias", initial_zeros({out}, where));
}

Tensor Conv2dImpl::forward(const Tensor& x) const {
  return at::conv2d(x, weight, bias, /*stride=*/1, /*padding=*/weight.size(-1) / 2);
}

torch::nn::Module& add_scope(torch::nn::Module& parent, const std::string& name) {
  return *parent.register_module(name, std::make_shared<torch::nn::Module>());
}

}  // namespace sdg::nn
