#pragma once
#include "sdg/nn/layers.h"

namespace sdg::nn {

/// Self-attention of packed projections: qkv [N, T, 3D], its last axis laid out as (3, heads, D / heads); returns [N,
/// T, D]. softmax(q k^T / sqrt(D / heads)) v per head.
Tensor attention(const Tensor& qkv, int64_t heads);

/// Multi-head self-attention. State-dict names: qkv.weight [3D, D] (and bias), proj.{weight, bias}; with qk_norm
/// q_norm and k_norm, norms over the width of a head that queries and keys pass. Then both are turned by `rotary`, the
/// table [2, T, D / heads] of nn/rotary.h, where it is given.
class AttentionImpl : public torch::nn::Module {
 public:
  AttentionImpl(int64_t dim, int64_t heads, bool qkv_bias, const at::TensorOptions& where = {}, bool qk_norm = false,
                NormKind kind = NormKind::kLayer);
  Tensor forward(const Tensor& x, const Tensor& rotary = {}) const;  ///< [N, T, D] -> [N, T, D]

  Linear qkv{nullptr}, proj{nullptr};
  LayerNorm q_norm{nullptr}, k_norm{nullptr};

 private:
  int64_t heads_;
};
TORCH_MODULE(Attention);

}  // namespace sdg::nn
