#include "sdg/nn/layers.h"

#include "sdg/core/error.h"
#include "sdg/nn/init.h"

namespace sdg::nn {

LinearImpl::LinearImpl(int64_t in, int64_t out, bool with_bias, const at::TensorOptions& where) {
  weight = register_parameter("weight", initial_zeros({out, in}, where));
  if (with_bias) bias = register_parameter("bias", initial_zeros({out}, where));
}

Tensor LinearImpl::forward(const Tensor& x) const {
  return at::linear(x, weight, bias);
}

LayerNormImpl::LayerNormImpl(int64_t dim, double eps, const at::TensorOptions& where, NormKind kind) : eps_(eps) {
  weight = register_parameter("weight", at::ones({dim}, where));
  if (kind == NormKind::kLayer) bias = register_parameter("bias", initial_zeros({dim}, where));
}

Tensor LayerNormImpl::forward(const Tensor& x) const {
  return bias.defined() ? at::layer_norm(x, weight.sizes(), weight, bias, eps_)
                        : at::rms_norm(x, weight.sizes(), weight, eps_);
}

EmbeddingImpl::EmbeddingImpl(int64_t rows, int64_t dim, const at::TensorOptions& where) {
  weight = register_parameter("weight", initial_zeros({rows, dim}, where));
}

Tensor EmbeddingImpl::forward(const Tensor& ids) const {
  return at::embedding(weight, ids);
}

GroupNormImpl::GroupNormImpl(int64_t groups, int64_t channels, double eps, const at::TensorOptions& where)
    : groups_(groups), eps_(eps) {
  SDG_CHECK(groups > 0 && channels % groups == 0, "group norm: ", channels, " channels do not fall into ", groups,
            " groups");
  weight = register_parameter("weight", at::ones({channels}, where));
  bias = register_parameter("bias", initial_zeros({channels}, where));
}

Tensor GroupNormImpl::forward(const Tensor& x) const {
  return at::group_norm(x, groups_, weight, bias, eps_);
}

Conv2dImpl::Conv2dImpl(int64_t in, int64_t out, int64_t kernel, const at::TensorOptions& where, int64_t stride)
    : stride_(stride) {
  weight = register_parameter("weight", initial_zeros({out, in, kernel, kernel}, where));
  bias = register_parameter("bias", initial_zeros({out}, where));
}

Tensor Conv2dImpl::forward(const Tensor& x) const {
  return at::conv2d(x, weight, bias, stride_, /*padding=*/weight.size(-1) / 2);
}

torch::nn::Module& add_scope(torch::nn::Module& parent, const std::string& name) {
  return *parent.register_module(name, std::make_shared<torch::nn::Module>());
}

}  // namespace sdg::nn
