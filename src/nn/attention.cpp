#include "sdg/nn/attention.h"

namespace sdg::nn {

Tensor attention(const Tensor& qkv, int64_t heads) {
  const auto n = qkv.size(0), tokens = qkv.size(1), dim = qkv.size(2) / 3;
  const auto split =
      qkv.view({n, tokens, 3, heads, dim / heads}).transpose(1, 3).unbind(2);  // 3 x [N, heads, T, D/heads]
  const auto mixed = at::scaled_dot_product_attention(split[0], split[1], split[2]);
  return mixed.transpose(1, 2).reshape({n, tokens, dim});  // [N, T, D]
}

AttentionImpl::AttentionImpl(int64_t dim, int64_t heads, bool qkv_bias, const at::TensorOptions& where)
    : heads_(heads) {
  qkv = register_module("qkv", Linear(dim, 3 * dim, qkv_bias, where));
  proj = register_module("proj", Linear(dim, dim, true, where));
}

Tensor AttentionImpl::forward(const Tensor& x) const {
  return proj->forward(attention(qkv->forward(x), heads_));
}

}  // namespace sdg::nn
