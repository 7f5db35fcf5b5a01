#pragma once
#include <memory>
#include <vector>

#include "sdg/model/condition.h"
#include "sdg/nn/attention.h"
#include "sdg/nn/block_style.h"
#include "sdg/nn/init.h"
#include "sdg/nn/mlp.h"
#include "sdg/nn/patch.h"
#include "sdg/nn/swiglu.h"

namespace sdg::model {

/// Which tokens stand before the patches, and where the condition goes.
enum class UViTLayout {
  kBaofff,     ///< [label, time, patches], or [time, patches] without labels: Bao et al., "All are worth words", 2023
  kSgfm,       ///< [cls, time, condition, patches]
  kSgfmPatch,  ///< [cls, time, patches]; the condition is added to the patch embeddings, one vector per patch
};

struct UViTOptions {
  int64_t size = 32;  ///< side of the input, S
  int64_t channels = 4;
  int64_t patch = 2;
  int64_t dim = 1024;  ///< D
  int64_t depth = 20;  ///< depth/2 blocks on each side of the middle one
  int64_t heads = 16;
  double mlp_ratio = 4;
  bool qkv_bias = false;
  bool mlp_time_embed = false;  ///< an MLP after the time sinusoid
  bool conv = true;             ///< 3x3 convolution on the put-together output
  bool skip = true;             ///< long skips from the n-th block to the n-th last
  UViTLayout layout = UViTLayout::kSgfm;
  ConditionKind condition = ConditionKind::kNone;
  int64_t classes = 0;     ///< labels of kind index, without the null one
  bool null_label = true;  ///< kind index: the table has a row `classes` for "no label"
  double time_scale = 1;   ///< the sinusoid sees time_scale * t
  int64_t inner = -1;      ///< block after which inner_head predicts too; -1: none
  bool strength = false;   ///< the strength of guidance joins the time token
  nn::BlockStyle style;
  bool activation_checkpointing =
      false;  ///< keep only block inputs for the backward pass: less memory, a third more time
};

/// x = skip_linear([x, skip]) where there is a skip; x += attn(LN(x)); x += mlp(LN(x)).
/// State-dict names: norm1, attn.{qkv,proj}, norm2, mlp.{fc1,fc2}, skip_linear; by style attn.{q_norm,k_norm},
/// mlp.{w12,w3}.
class UViTBlockImpl : public torch::nn::Module {
 public:
  UViTBlockImpl(const UViTOptions& options, bool with_skip, const at::TensorOptions& where = {});
  /// x [N, T, D], skip [N, T, D] or undefined -> [N, T, D]; `rotary` as nn::Attention takes it
  Tensor forward(const Tensor& x, const Tensor& skip = {}, const Tensor& rotary = {}) const;

  nn::LayerNorm norm1{nullptr}, norm2{nullptr};
  nn::Attention attn{nullptr};
  nn::Mlp mlp{nullptr};
  nn::SwiGlu swiglu{nullptr};
  nn::Linear skip_linear{nullptr};
};
TORCH_MODULE(UViTBlock);

/// U-ViT: every piece of information is a token, and long skips join early and late blocks. State-dict names are those
/// of the public code of Bao et al. and of sgfm (without sgfm's projection head and prototypes, which
/// cluster::PrototypeHead holds); inner_head.{norm,linear} and strength_embed.{0,2} are ours. Weights are zero until
/// initialize() or load_weights(). forward changes nothing in the module: several threads may call it at once.
class UViTImpl : public VelocityModel {
 public:
  explicit UViTImpl(const UViTOptions& options, const at::TensorOptions& where = {});

  ForwardOutput forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                        const ForwardOptions& options = {}) override;
  int64_t blocks() const override { return 2 * (options_.depth / 2) + 1; }
  int64_t default_feature_depth() const override { return options_.depth / 2; }
  int64_t dim() const override { return options_.dim; }
  int64_t extra_tokens() const override;
  bool has_cls_token() const override { return cls_token.defined(); }
  int64_t patch_tokens() const override;
  bool has_inner() const override { return options_.inner >= 0; }
  bool takes_strength() const override { return options_.strength; }
  int64_t macs() const override;

  const UViTOptions& options() const { return options_; }

  Tensor rotary;  ///< [2, T, D / heads] (nn/rotary.h), with style.rotary
  Tensor pos_embed, cls_token, null_cfg_embed, unconditional_embed;
  nn::PatchEmbed patch_embed{nullptr};
  nn::TimeMlp time_embed{nullptr};
  nn::Embedding label_emb{nullptr};
  std::vector<UViTBlock> in_blocks, out_blocks;
  UViTBlock mid_block{nullptr};
  nn::LayerNorm norm{nullptr};
  nn::Linear decoder_pred{nullptr};
  nn::Conv2d final_layer{nullptr};
  nn::TimeMlp strength_embed{nullptr};
  nn::LayerNorm inner_norm{nullptr};
  nn::Linear inner_linear{nullptr};

 private:
  Tensor time_token(const Tensor& t, const Tensor& strength) const;
  Tensor tokens(const Tensor& x_t, const Tensor& t, const Condition& condition) const;
  Tensor decode(const Tensor& x) const;
  Tensor decode_inner(const Tensor& x) const;
  Tensor run(const UViTBlock& block, const Tensor& x, const Tensor& skip) const;

  UViTOptions options_;
};
TORCH_MODULE(UViT);

/// Initial weights, as a function of (seed, parameter name). kPublic: as in the public code, whose last 3x3 convolution
/// begins as a random blur of the image's own channels that all before it must undo. kFanIn: it hands its input
/// through.
void initialize(UViTImpl& net, uint64_t seed, nn::InitialValues values = nn::InitialValues::kPublic);

}  // namespace sdg::model
