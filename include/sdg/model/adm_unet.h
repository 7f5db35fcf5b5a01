#pragma once
#include "sdg/model/condition.h"
#include "sdg/model/unet_trunk.h"
#include "sdg/nn/mlp.h"

namespace sdg::model {

struct AdmUNetOptions : UNetOptions {
  ConditionKind condition = ConditionKind::kIndex;  ///< none, index or vector
  int64_t classes = 1000;                           ///< labels of kind index, without the null one
  bool null_label = true;  ///< kind index: the table has a row `classes` for "no label" (public checkpoints: none)
  double time_scale = 1;   ///< the sinusoid sees time_scale * t
  bool strength = false;   ///< the strength of guidance joins the time embedding
};

/// ADM (Dhariwal and Nichol, 2021): residual blocks steered by time and class, attention at some resolutions, skips
/// from each block down to one up. State-dict names are those of guided-diffusion; kind vector adds null_embed and
/// unconditional_embed [1, 1, 4 width], which join the time embedding as class rows do; strength_embed.{0,2} is ours.
/// Weights are zero until initialize() or load_weights(). forward changes nothing in the module: several threads may
/// call it at once.
class AdmUNetImpl : public VelocityModel {
 public:
  explicit AdmUNetImpl(const AdmUNetOptions& options, const at::TensorOptions& where = {});

  /// velocity = the first C predicted channels.
  ForwardOutput forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                        const ForwardOptions& options = {}) override;
  int64_t blocks() const override { return trunk_.blocks(); }
  int64_t default_feature_depth() const override { return trunk_.middle(); }
  int64_t dim() const override { return 4 * options_.width; }
  int64_t extra_tokens() const override { return 0; }
  bool has_inner() const override { return options_.inner >= 0; }
  bool takes_strength() const override { return options_.strength; }
  int64_t patch_tokens() const override { return trunk_.feature_tokens(trunk_.middle()); }
  int64_t feature_dim(int64_t depth) const override { return trunk_.feature_dim(depth); }
  int64_t feature_tokens(int64_t depth) const override { return trunk_.feature_tokens(depth); }
  int64_t macs() const override;

  /// All predicted channels: [N, 2C, S, S] with learn_sigma, else [N, C, S, S].
  Tensor prediction(const Tensor& x_t, const Tensor& t, const Condition& condition);
  const AdmUNetOptions& options() const { return options_; }

 private:
  ForwardOutput run(const Tensor& x_t, const Tensor& t, const Condition& condition,
                    const ForwardOptions& options) const;
  Tensor embedding(const Tensor& t, const Condition& condition) const;  // [N, 4 width]

  AdmUNetOptions options_;
  Tensor null_embed_, unconditional_embed_;
  nn::TimeMlp time_embed_{nullptr}, strength_embed_{nullptr};
  nn::Embedding label_emb_{nullptr};
  UNetTrunk trunk_;
};
TORCH_MODULE(AdmUNet);

inline void initialize(AdmUNetImpl& net, uint64_t seed) {
  initialize_unet(net, seed);
}

}  // namespace sdg::model
