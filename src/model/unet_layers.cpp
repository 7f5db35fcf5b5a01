#include "sdg/model/unet_layers.h"

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/nn/attention.h"
#include "sdg/nn/init.h"

namespace sdg::model {
namespace {

constexpr int64_t kGroups = 32;
constexpr double kNormEps = 1e-5;
constexpr int64_t kContextTokensCounted = 16;  // eight of time and eight of the condition

int64_t resampled(int64_t side, Resample how) {
  return how == Resample::kUp ? 2 * side : how == Resample::kDown ? side / 2 : side;
}

Tensor to_tokens(const Tensor& x) {
  return x.flatten(2).transpose(1, 2);  // [N, S*S, C]
}
Tensor to_map(const Tensor& tokens, const Tensor& like) {
  return tokens.transpose(1, 2).reshape(like.sizes());
}

}  // namespace

Tensor resample(const Tensor& x, Resample how) {
  if (how == Resample::kUp) return at::upsample_nearest2d(x, {2 * x.size(2), 2 * x.size(3)});
  return how == Resample::kDown ? at::avg_pool2d(x, {2, 2}) : x;
}

UNetConvImpl::UNetConvImpl(int64_t in, int64_t out, const at::TensorOptions& where) {
  weight = register_parameter("weight", nn::initial_zeros({out, in, 3, 3}, where));
  bias = register_parameter("bias", nn::initial_zeros({out}, where));
}

Tensor UNetConvImpl::forward(const Tensor& x, const UNetSignal& /*signal*/) const {
  return at::conv2d(x, weight, bias, /*stride=*/1, /*padding=*/1);
}

int64_t UNetConvImpl::macs(int64_t side) const {
  return side * side * weight.numel();
}

ResBlockImpl::ResBlockImpl(const ResBlockOptions& options, const at::TensorOptions& where) : options_(options) {
  const auto& o = options_;
  auto& in = nn::add_scope(*this, "in_layers");
  in_norm_ = in.register_module("0", nn::GroupNorm(kGroups, o.in, kNormEps, where));
  in_conv_ = in.register_module("2", nn::Conv2d(o.in, o.out, 3, where));
  embed_ = nn::add_scope(*this, "emb_layers")
               .register_module("1", nn::Linear(o.embedding, o.scale_shift ? 2 * o.out : o.out, true, where));
  auto& out = nn::add_scope(*this, "out_layers");
  out_norm_ = out.register_module("0", nn::GroupNorm(kGroups, o.out, kNormEps, where));
  out_conv_ = out.register_module("3", nn::Conv2d(o.out, o.out, 3, where));
  if (o.in != o.out) skip_ = register_module("skip_connection", nn::Conv2d(o.in, o.out, 1, where));
}

Tensor ResBlockImpl::dropped(const Tensor& h, const DropoutDraw& draw) const {
  const rng::Stream stream{draw.seed ^ rng::hash(name_), rng::Purpose::kDropout, 0};
  const auto shape = h.sizes().slice(1);
  const auto u = draw.counters.defined() ? rng::uniform(stream, draw.counters, shape)
                                         : rng::uniform(stream, draw.samples, shape, h.device());
  const auto kept = u.ge(options_.dropout);
  return h * kept.to(h.scalar_type()) / (1 - options_.dropout);
}

Tensor ResBlockImpl::forward(const Tensor& x, const UNetSignal& signal) const {
  const auto& o = options_;
  auto h = in_conv_->forward(resample(at::silu(in_norm_->forward(x)), o.how));      // [N, C', S', S']
  const auto e = embed_->forward(signal.silu_embedding).unsqueeze(2).unsqueeze(3);  // [N, C' or 2C', 1, 1]
  if (o.scale_shift) {
    const auto parts = e.chunk(2, 1);
    h = at::addcmul(parts[1], out_norm_->forward(h), parts[0] + 1);
  } else {
    h = out_norm_->forward(h + e);
  }
  h = at::silu(h);
  if (o.dropout > 0 && signal.dropout) h = dropped(h, *signal.dropout);
  const auto kept = resample(x, o.how);
  return (skip_ ? skip_->forward(kept) : kept) + out_conv_->forward(h);
}

int64_t ResBlockImpl::out_side(int64_t side) const {
  return resampled(side, options_.how);
}

int64_t ResBlockImpl::macs(int64_t side) const {
  const auto area = out_side(side) * out_side(side);
  auto pixel = in_conv_->weight.numel() + out_conv_->weight.numel();
  if (skip_) pixel += skip_->weight.numel();
  return area * pixel + embed_->weight.numel();
}

PixelAttentionImpl::PixelAttentionImpl(int64_t channels, int64_t heads, bool new_order, const at::TensorOptions& where)
    : channels_(channels), heads_(heads), new_order_(new_order) {
  SDG_CHECK_USAGE(heads > 0 && channels % heads == 0, "U-Net: ", channels, " channels cannot be cut into ", heads,
                  " heads");
  norm_ = register_module("norm", nn::GroupNorm(kGroups, channels, kNormEps, where));
  auto& qkv = nn::add_scope(*this, "qkv");
  qkv_weight_ = qkv.register_parameter("weight", nn::initial_zeros({3 * channels, channels, 1}, where));
  qkv_bias_ = qkv.register_parameter("bias", nn::initial_zeros({3 * channels}, where));
  auto& proj = nn::add_scope(*this, "proj_out");
  proj_weight_ = proj.register_parameter("weight", nn::initial_zeros({channels, channels, 1}, where));
  proj_bias_ = proj.register_parameter("bias", nn::initial_zeros({channels}, where));
}

Tensor PixelAttentionImpl::forward(const Tensor& x, const UNetSignal& /*signal*/) const {
  auto qkv = at::linear(to_tokens(norm_->forward(x)), qkv_weight_.squeeze(2), qkv_bias_);  // [N, T, 3C]
  if (!new_order_) {
    const Shape heads_first{qkv.size(0), qkv.size(1), heads_, 3, channels_ / heads_};
    qkv = qkv.view(heads_first).transpose(2, 3).reshape(qkv.sizes());
  }
  const auto mixed = nn::attention(qkv, heads_);  // [N, T, C]
  return x + to_map(at::linear(mixed, proj_weight_.squeeze(2), proj_bias_), x);
}

int64_t PixelAttentionImpl::macs(int64_t side) const {
  const auto tokens = side * side;
  return tokens * 4 * channels_ * channels_ + 2 * tokens * tokens * channels_;
}

ContextAttentionImpl::ContextAttentionImpl(int64_t channels, int64_t heads, int64_t head_dim, int64_t context,
                                           const at::TensorOptions& where)
    : channels_(channels), heads_(heads), head_dim_(head_dim) {
  const auto add_norm = [&](torch::nn::Module& parent, const std::string& name, Tensor& gamma, Tensor& beta) {
    auto& norm = nn::add_scope(parent, name);
    gamma = norm.register_parameter("gamma", at::ones({channels}, where));
    beta = norm.register_buffer("beta", at::zeros({channels}, where));
  };
  null_kv_ = register_parameter("null_kv", nn::initial_zeros({2, head_dim}, where));
  add_norm(*this, "norm", gamma_, beta_);
  to_q_ = register_module("to_q", nn::Linear(channels, heads * head_dim, false, where));
  to_kv_ = register_module("to_kv", nn::Linear(channels, 2 * head_dim, false, where));
  auto& context_scope = nn::add_scope(*this, "to_context");
  context_norm_ = context_scope.register_module("0", nn::LayerNorm(context, kNormEps, where));
  to_context_ = context_scope.register_module("1", nn::Linear(context, 2 * head_dim, true, where));
  auto& out = nn::add_scope(*this, "to_out");
  to_out_ = out.register_module("0", nn::Linear(heads * head_dim, channels, false, where));
  add_norm(out, "1", out_gamma_, out_beta_);
}

Tensor ContextAttentionImpl::forward(const Tensor& map, const UNetSignal& signal) const {
  const auto x = to_tokens(map);  // [N, T, C]
  const auto n = x.size(0), tokens = x.size(1);
  const auto normed = at::layer_norm(x, {channels_}, gamma_, beta_, kNormEps);
  const auto q = to_q_->forward(normed).view({n, tokens, heads_, head_dim_}).transpose(1, 2);  // [N, heads, T, d]
  const auto told = to_context_->forward(context_norm_->forward(signal.context));              // [N, M, 2d]
  const auto null = null_kv_.reshape({1, 1, 2 * head_dim_}).expand({n, 1, 2 * head_dim_}).to(told.scalar_type());
  const auto kv = at::cat({told, null, to_kv_->forward(normed)}, 1).unsqueeze(1);  // [N, 1, M+1+T, 2d]
  const auto every_head = kv.expand({n, heads_, kv.size(2), 2 * head_dim_});
  const auto mixed = at::scaled_dot_product_attention(q, every_head.narrow(3, 0, head_dim_),
                                                      every_head.narrow(3, head_dim_, head_dim_));
  const auto out = to_out_->forward(mixed.transpose(1, 2).reshape({n, tokens, heads_ * head_dim_}));
  return to_map(x + at::layer_norm(out, {channels_}, out_gamma_, out_beta_, kNormEps), map);
}

int64_t ContextAttentionImpl::macs(int64_t side) const {
  const auto tokens = side * side, inner = heads_ * head_dim_, keys = tokens + 1 + kContextTokensCounted;
  return tokens * (2 * channels_ * inner + 2 * channels_ * head_dim_) + 2 * tokens * keys * inner +
         kContextTokensCounted * to_context_->weight.numel();
}

ResampleConvImpl::ResampleConvImpl(int64_t channels, Resample how, bool with_conv, const at::TensorOptions& where)
    : how_(how) {
  if (!with_conv) return;
  const bool down = how == Resample::kDown;
  conv_ = register_module(down ? "op" : "conv", nn::Conv2d(channels, channels, 3, where, down ? 2 : 1));
}

Tensor ResampleConvImpl::forward(const Tensor& x, const UNetSignal& /*signal*/) const {
  if (!conv_) return resample(x, how_);
  return conv_->forward(how_ == Resample::kUp ? resample(x, how_) : x);
}

int64_t ResampleConvImpl::out_side(int64_t side) const {
  return resampled(side, how_);
}

int64_t ResampleConvImpl::macs(int64_t side) const {
  return conv_ ? out_side(side) * out_side(side) * conv_->weight.numel() : 0;
}

}  // namespace sdg::model
