#include "sdg/nn/attention.h"

#include <cmath>

#include "sdg/nn/rotary.h"

namespace sdg::nn {
namespace {

// For few tokens two batched products cost less on the CPU than the blocked kernel: with 19 tokens of width 64 in 4
// heads 17 instead of 26 us an image, forward and backward; at 67 tokens the two are even, beyond that the blocked
// kernel wins.
constexpr int64_t kFewTokens = 64;
constexpr double kNormEps = 1e-5, kRmsEps = 1e-6;  // of PyTorch's LayerNorm, of LightningDiT's RMSNorm

Tensor small_attention(const Tensor& qkv, int64_t heads) {
  const auto n = qkv.size(0), tokens = qkv.size(1), width = qkv.size(2) / 3 / heads;
  const auto split = qkv.view({n, tokens, 3, heads, width})
                         .permute({2, 0, 3, 1, 4})
                         .reshape({3, n * heads, tokens, width})
                         .unbind(0);                             // 3 x [N*heads, T, D/heads]
  const auto unused = at::empty({1, 1, 1}, split[0].options());  // beta = 0 leaves it out
  const auto logits =
      at::baddbmm(unused, split[0], split[1].transpose(1, 2), 0, 1 / std::sqrt(static_cast<double>(width)));
  const auto mixed = at::bmm(at::softmax(logits, -1), split[2]);  // [N*heads, T, D/heads]
  return mixed.view({n, heads, tokens, width}).transpose(1, 2).reshape({n, tokens, heads * width});
}

}  // namespace

Tensor attention(const Tensor& qkv, int64_t heads) {
  const auto n = qkv.size(0), tokens = qkv.size(1), dim = qkv.size(2) / 3;
  if (qkv.is_cpu() && tokens <= kFewTokens) return small_attention(qkv, heads);
  const auto split =
      qkv.view({n, tokens, 3, heads, dim / heads}).transpose(1, 3).unbind(2);  // 3 x [N, heads, T, D/heads]
  const auto mixed = at::scaled_dot_product_attention(split[0], split[1], split[2]);
  return mixed.transpose(1, 2).reshape({n, tokens, dim});  // [N, T, D]
}

AttentionImpl::AttentionImpl(int64_t dim, int64_t heads, bool qkv_bias, const at::TensorOptions& where, bool qk_norm,
                             NormKind kind)
    : heads_(heads) {
  qkv = register_module("qkv", Linear(dim, 3 * dim, qkv_bias, where));
  proj = register_module("proj", Linear(dim, dim, true, where));
  if (!qk_norm) return;
  const double eps = kind == NormKind::kRms ? kRmsEps : kNormEps;
  q_norm = register_module("q_norm", LayerNorm(dim / heads, eps, where, kind));
  k_norm = register_module("k_norm", LayerNorm(dim / heads, eps, where, kind));
}

Tensor AttentionImpl::forward(const Tensor& x, const Tensor& rotary) const {
  auto packed = qkv->forward(x);  // [N, T, 3D]
  if (q_norm || rotary.defined()) {
    const auto n = x.size(0), tokens = x.size(1), dim = x.size(2);
    const auto parts = packed.view({n, tokens, 3, heads_, dim / heads_}).unbind(2);  // 3 x [N, T, heads, D/heads]
    auto q = q_norm ? q_norm->forward(parts[0]) : parts[0], k = k_norm ? k_norm->forward(parts[1]) : parts[1];
    if (rotary.defined()) {
      q = rotated(q, rotary);
      k = rotated(k, rotary);
    }
    packed = at::stack({q, k, parts[2]}, 2).flatten(2);
  }
  return proj->forward(attention(packed, heads_));
}

}  // namespace sdg::nn
