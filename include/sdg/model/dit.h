#pragma once
#include <vector>

#include "sdg/model/condition.h"
#include "sdg/nn/attention.h"
#include "sdg/nn/block_style.h"
#include "sdg/nn/mlp.h"
#include "sdg/nn/patch.h"
#include "sdg/nn/swiglu.h"

namespace sdg::model {

struct DiTOptions {
  int64_t size = 32;  ///< side of the input, S
  int64_t channels = 4;
  int64_t patch = 2;
  int64_t dim = 1152;  ///< D, a multiple of 4
  int64_t depth = 28;
  int64_t heads = 16;
  double mlp_ratio = 4;
  ConditionKind condition = ConditionKind::kIndex;
  int64_t classes = 1000;    ///< labels of kind index, without the null one
  bool null_label = true;    ///< kind index: the table has a row `classes` for "no label"
  bool learn_sigma = false;  ///< predict C further channels (DiT: variances; SiT: unused)
  double time_scale = 1;     ///< the sinusoid sees time_scale * t
  nn::BlockStyle style;
  std::vector<int64_t> projector_dims;  ///< REPA: widths of the features that the projectors aim at, one each
  int64_t projector_hidden = 2048;      ///< REPA: width of their hidden layers
  int64_t projector_depth = 8;          ///< REPA: number of blocks before the projected tokens
  int64_t inner = -1;                   ///< block after which inner_head predicts too; -1: none
  bool strength = false;                ///< the strength of guidance joins time and condition
  bool activation_checkpointing =
      false;  ///< keep only block inputs for the backward pass: less memory, a third more time
};

/// x += gate_a attn(LN(x)(1 + scale_a) + shift_a); x += gate_m mlp(LN(x)(1 + scale_m) + shift_m), the six from a linear
/// map of SiLU(c). State-dict names: attn.{qkv,proj}, mlp.{fc1,fc2}, adaLN_modulation.1; by style attn.{q_norm,k_norm},
/// norm1, norm2, mlp.{w12,w3}.
class DiTBlockImpl : public torch::nn::Module {
 public:
  explicit DiTBlockImpl(const DiTOptions& options, const at::TensorOptions& where = {});
  /// x [N, T, D], silu_c = SiLU(c) [N, D] -> [N, T, D]; `rotary` as nn::Attention takes it
  Tensor forward(const Tensor& x, const Tensor& silu_c, const Tensor& rotary = {}) const;

  nn::Attention attn{nullptr};
  nn::Mlp mlp{nullptr};
  nn::SwiGlu swiglu{nullptr};
  nn::LayerNorm norm1{nullptr}, norm2{nullptr};  ///< style.rms_norm; else layer norms without parameters
  nn::Linear modulation{nullptr};  ///< in order: shift, scale, gate of the attention; shift, scale, gate of the MLP
};
TORCH_MODULE(DiTBlock);

/// Three linear maps with SiLU between: from tokens to the features of another network (Yu et al., "Representation
/// alignment for generation", 2025). State-dict names: 0, 2, 4.
class ProjectorImpl : public torch::nn::Module {
 public:
  ProjectorImpl(int64_t in, int64_t hidden, int64_t out, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;  ///< [..., in] -> [..., out]

  nn::Linear first{nullptr}, second{nullptr}, third{nullptr};
};
TORCH_MODULE(Projector);

/// DiT (Peebles and Xie, 2023) and SiT (Ma et al., 2024), which have one network: a transformer whose layer norms are
/// steered by time and condition, and which starts as the zero map. State-dict names are those of the public code; kind
/// vector adds null_embed and unconditional_embed [1, 1, D], kind none has no y_embedder; inner_head, which is as
/// final_layer and predicts C channels, and strength_embed.{0,2} are ours. REPA's SiT is this network
/// with projectors (its time and velocity run the other way: t = 1 is noise). Weights are zero until initialize() or
/// load_weights(). forward changes nothing in the module: several threads may call it at once.
class DiTImpl : public VelocityModel {
 public:
  explicit DiTImpl(const DiTOptions& options, const at::TensorOptions& where = {});

  /// velocity = the first C predicted channels.
  ForwardOutput forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                        const ForwardOptions& options = {}) override;
  int64_t blocks() const override { return options_.depth; }
  int64_t default_feature_depth() const override { return options_.depth / 2; }
  int64_t dim() const override { return options_.dim; }
  int64_t extra_tokens() const override { return 0; }
  int64_t patch_tokens() const override;
  bool has_inner() const override { return options_.inner >= 0; }
  bool takes_strength() const override { return options_.strength; }
  int64_t macs() const override;

  /// All predicted channels: [N, 2C, S, S] with learn_sigma, else [N, C, S, S].
  Tensor prediction(const Tensor& x_t, const Tensor& t, const Condition& condition);
  /// Features of projector_depth - 1, [N, L, D], to the widths of projector_dims, [N, L, Z] each.
  std::vector<Tensor> project(const Tensor& features) const;
  /// c: what the layer norms are steered by, time plus condition, [N, D]. (Kind patch_vector: time alone; its vectors
  /// join the patches.)
  Tensor conditioning(const Tensor& t, const Condition& condition) const;
  const DiTOptions& options() const { return options_; }

  Tensor rotary;  ///< [2, L, D / heads] (nn/rotary.h), with style.rotary
  nn::LayerNorm final_norm{nullptr};
  Tensor pos_embed;  ///< [1, L, D], fixed, yet part of the state dict
  Tensor null_embed, unconditional_embed;
  nn::PatchEmbed x_embedder{nullptr};
  nn::TimeMlp t_embedder{nullptr};
  nn::Embedding y_embedder{nullptr};
  std::vector<DiTBlock> block_list;
  std::vector<Projector> projectors;
  nn::Linear final_modulation{nullptr}, final_linear{nullptr};
  nn::Linear inner_modulation{nullptr}, inner_linear{nullptr};
  nn::TimeMlp strength_embed{nullptr};

 private:
  // With all predicted channels.
  ForwardOutput run(const Tensor& x_t, const Tensor& t, const Condition& condition,
                    const ForwardOptions& options) const;

  DiTOptions options_;
};
TORCH_MODULE(DiT);

/// Initial weights as in the public code, as a function of (seed, parameter name): the network predicts zero.
void initialize(DiTImpl& net, uint64_t seed);

}  // namespace sdg::model
