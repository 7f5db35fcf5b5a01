#pragma once
/// @file
/// The layers U-Nets are made of (Dhariwal and Nichol, "Diffusion models beat GANs on image synthesis", 2021). All map
/// a feature map [N, C, S, S] to another one and may look at what the network is told.
#include <torch/nn/module.h>

#include <memory>

#include "sdg/model/velocity_model.h"
#include "sdg/nn/layers.h"

namespace sdg::model {

/// What every layer may look at beside the feature map.
struct UNetSignal {
  Tensor silu_embedding;                       ///< SiLU of the embedding of time and condition, [N, E]
  Tensor context;                              ///< tokens for ContextAttention, [N, M, X]; undefined without it
  std::shared_ptr<const DropoutDraw> dropout;  ///< null: nothing is dropped
};

class UNetLayer : public torch::nn::Module {
 public:
  virtual Tensor forward(const Tensor& x, const UNetSignal& signal) const = 0;
  /// Side of the output for an input of side S.
  virtual int64_t out_side(int64_t side) const { return side; }
  /// Multiply-adds of one image of side S.
  virtual int64_t macs(int64_t side) const = 0;
};

/// 3x3 convolution. State-dict names: weight, bias.
class UNetConvImpl : public UNetLayer {
 public:
  UNetConvImpl(int64_t in, int64_t out, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x, const UNetSignal& signal = {}) const override;
  int64_t macs(int64_t side) const override;

  Tensor weight, bias;
};
TORCH_MODULE(UNetConv);

/// How a layer changes the side of its input.
enum class Resample { kNone, kUp, kDown };
/// Nearest-neighbour doubling, or the mean of 2x2 pixels.
Tensor resample(const Tensor& x, Resample how);

struct ResBlockOptions {
  int64_t in = 0, out = 0;  ///< channels, multiples of 32
  int64_t embedding = 0;    ///< E
  bool scale_shift = true;  ///< the embedding scales and shifts the second norm, instead of being added before it
  Resample how = Resample::kNone;
  double dropout = 0;
};

/// h = conv(resample(SiLU(GN(x)))); with scale_shift h = GN(h)(1 + scale) + shift, else h = GN(h + e); then
/// resample(x) (through a 1x1 convolution where the width changes) + conv(dropout(SiLU(h))).
/// State-dict names: in_layers.{0,2}, emb_layers.1, out_layers.{0,3}, skip_connection.
class ResBlockImpl : public UNetLayer {
 public:
  explicit ResBlockImpl(const ResBlockOptions& options, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x, const UNetSignal& signal) const override;
  int64_t out_side(int64_t side) const override;
  int64_t macs(int64_t side) const override;

  /// Its state-dict name, which keys its dropout masks.
  void set_name(std::string name) { name_ = std::move(name); }

 private:
  Tensor dropped(const Tensor& h, const DropoutDraw& draw) const;

  ResBlockOptions options_;
  std::string name_;
  nn::GroupNorm in_norm_{nullptr}, out_norm_{nullptr};
  nn::Conv2d in_conv_{nullptr}, out_conv_{nullptr}, skip_{nullptr};
  nn::Linear embed_{nullptr};
};
TORCH_MODULE(ResBlock);

/// x + proj_out(attention over all pixels of GN(x)). State-dict names: norm, qkv [3C, C, 1], proj_out [C, C, 1]. The
/// public code has two orders of the 3C channels, which a checkpoint does not tell: heads first (legacy), or q, k, v
/// first (new).
class PixelAttentionImpl : public UNetLayer {
 public:
  PixelAttentionImpl(int64_t channels, int64_t heads, bool new_order, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x, const UNetSignal& signal = {}) const override;
  int64_t macs(int64_t side) const override;

 private:
  int64_t channels_, heads_;
  bool new_order_;
  nn::GroupNorm norm_{nullptr};
  Tensor qkv_weight_, qkv_bias_, proj_weight_, proj_bias_;
};
TORCH_MODULE(PixelAttention);

/// Attention of pixels to context tokens, one learned token and each other, with one key and value for all heads
/// (Self-Guided Diffusion Models' Attention_LR). State-dict names: norm.{gamma,beta}, null_kv, to_q, to_kv,
/// to_context.{0,1}, to_out.0, to_out.1.{gamma,beta}; beta is a buffer of zeros.
class ContextAttentionImpl : public UNetLayer {
 public:
  ContextAttentionImpl(int64_t channels, int64_t heads, int64_t head_dim, int64_t context,
                       const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x, const UNetSignal& signal) const override;
  int64_t macs(int64_t side) const override;

 private:
  int64_t channels_, heads_, head_dim_;
  Tensor gamma_, beta_, out_gamma_, out_beta_;
  Tensor null_kv_;  // [2, head_dim]
  nn::Linear to_q_{nullptr}, to_kv_{nullptr}, to_context_{nullptr}, to_out_{nullptr};
  nn::LayerNorm context_norm_{nullptr};
};
TORCH_MODULE(ContextAttention);

/// Halves or doubles the side outside of a ResBlock. State-dict names: op (down), conv (up); without a convolution
/// there are no parameters.
class ResampleConvImpl : public UNetLayer {
 public:
  ResampleConvImpl(int64_t channels, Resample how, bool with_conv, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x, const UNetSignal& signal = {}) const override;
  int64_t out_side(int64_t side) const override;
  int64_t macs(int64_t side) const override;

 private:
  Resample how_;
  nn::Conv2d conv_{nullptr};
};
TORCH_MODULE(ResampleConv);

}  // namespace sdg::model
