#pragma once
#include "sdg/model/condition.h"
#include "sdg/model/unet_trunk.h"
#include "sdg/nn/mlp.h"

namespace sdg::model {

struct SgUNetOptions : UNetOptions {
  ConditionKind condition = ConditionKind::kVector;  ///< any; patch_vector (tokens) only with context attention
  int64_t condition_dim = 0;  ///< width of the condition vectors; kind index: number of classes (one-hot vectors)
  int64_t tokens = 0;         ///< kind patch_vector: condition tokens of an image, at least 2
  int64_t map_channels = 0;   ///< M, channels of the layout joined to the input; > 0 for kind map, free for the others
  bool context_attention = false;  ///< the networks called unetca: context tokens, ContextAttention
  int64_t context_dim = 32;        ///< width of context tokens
  bool pool_first = true;          ///< kind patch_vector: the first token joins the time embedding, instead of the mean
  double time_scale = 1;           ///< the sinusoid sees time_scale * t
};

/// The U-Nets of Self-Guided Diffusion Models (Hu et al., 2023): ADM's trunk told of an image by a vector.
///   - plain ("unet"): an MLP of the vector stands beside the time embedding (concatenated);
///   - context attention ("unetca"): the vector, or several, become context tokens beside eight tokens of time, which
///     every attention layer sees; an MLP of it is added to the time embedding.
/// Layouts are further input channels. A dropped condition is null_cond_emb and null_layout_emb, which stay zero and
/// untrained. State-dict names are those of the public code. Weights are zero until initialize() or load_weights().
/// forward changes nothing in the module: several threads may call it at once.
class SgUNetImpl : public VelocityModel {
 public:
  explicit SgUNetImpl(const SgUNetOptions& options, const at::TensorOptions& where = {});

  /// velocity = the first C predicted channels.
  ForwardOutput forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                        const ForwardOptions& options = {}) override;
  int64_t blocks() const override { return trunk_.blocks(); }
  int64_t default_feature_depth() const override { return trunk_.middle(); }
  int64_t dim() const override { return options_.condition_dim; }
  int64_t extra_tokens() const override { return 0; }
  bool has_inner() const override { return options_.inner >= 0; }
  int64_t patch_tokens() const override { return trunk_.feature_tokens(trunk_.middle()); }
  int64_t feature_dim(int64_t depth) const override { return trunk_.feature_dim(depth); }
  int64_t feature_tokens(int64_t depth) const override { return trunk_.feature_tokens(depth); }
  int64_t macs() const override;
  const SgUNetOptions& options() const { return options_; }

 private:
  UNetSignal signal(const Tensor& t, const Tensor& told, const ForwardOptions& options) const;
  Tensor told(const Condition& condition, int64_t count) const;  // [N, 1 or tokens, condition_dim]; undefined for none

  SgUNetOptions options_;
  Tensor null_cond_emb_;    // [1 or tokens, condition_dim]
  Tensor null_layout_emb_;  // [1, 1, S, S]
  nn::TimeMlp time_embed_{nullptr}, condition_mlp_{nullptr}, time_tokens_{nullptr};
  nn::Linear condition_tokens_{nullptr};  // one vector to eight tokens
  std::vector<nn::Linear> token_mlp_;     // each of several tokens to one
  nn::LayerNorm context_norm_{nullptr};
  UNetTrunk trunk_;
};
TORCH_MODULE(SgUNet);

inline void initialize(SgUNetImpl& net, uint64_t seed) {
  initialize_unet(net, seed);
}

}  // namespace sdg::model
