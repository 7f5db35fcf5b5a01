#include "sdg/model/sg_unet.h"

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/nn/embed.h"
#include "sdg/nn/init.h"

namespace sdg::model {
namespace {

constexpr int64_t kTokens = 8;  // of time, and of one condition vector
constexpr double kNormEps = 1e-5;

bool has_vector(const SgUNetOptions& o) {
  return o.condition != ConditionKind::kNone && o.condition != ConditionKind::kMap;
}

const SgUNetOptions& checked(const SgUNetOptions& o) {
  check(o, "SG U-Net");
  SDG_CHECK_USAGE(!has_vector(o) || o.condition_dim > 0, "SG U-Net: condition ", config::name(o.condition),
                  " needs vectors of at least one number, got ", o.condition_dim);
  SDG_CHECK_USAGE(o.condition != ConditionKind::kPatchVector || (o.context_attention && o.tokens > 1),
                  "SG U-Net: condition patch_vector needs context attention and at least 2 tokens, got ", o.tokens);
  SDG_CHECK_USAGE(o.condition != ConditionKind::kMap || o.map_channels > 0,
                  "SG U-Net: condition map needs at least one channel, got ", o.map_channels);
  SDG_CHECK_USAGE(o.levels[0] == 1, "SG U-Net: the first level must have the width itself, got ", o.levels[0],
                  " times it");
  SDG_CHECK_USAGE(!o.context_attention || o.context_dim > 0, "SG U-Net: context tokens need a width, got ",
                  o.context_dim);
  return o;
}

UNetWidths widths(const SgUNetOptions& o) {
  const auto beside = has_vector(o) && !o.context_attention ? 2 * o.width : 0;
  return {.input = o.channels + o.map_channels,
          .embedding = 4 * o.width + beside,
          .context = o.context_attention ? o.context_dim : 0};
}

}  // namespace

SgUNetImpl::SgUNetImpl(const SgUNetOptions& options, const at::TensorOptions& where)
    : options_(checked(options)), trunk_(*this, options, widths(options), where) {
  const auto& o = options_;
  time_embed_ = register_module("time_embed", nn::TimeMlp(o.width, 4 * o.width, 4 * o.width, where));
  if (o.map_channels > 0)
    null_layout_emb_ = register_parameter("null_layout_emb", nn::initial_zeros({1, 1, o.size, o.size}, where), false);
  if (has_vector(o)) {
    const auto rows = o.condition == ConditionKind::kPatchVector ? o.tokens : 1;
    null_cond_emb_ = register_parameter("null_cond_emb", nn::initial_zeros({rows, o.condition_dim}, where), false);
    const auto out = o.context_attention ? 4 * o.width : 2 * o.width;
    condition_mlp_ =
        register_module(o.context_attention ? "cond_mlp" : "mlp_cond", nn::TimeMlp(o.condition_dim, out, out, where));
  }
  if (!o.context_attention) return;
  context_norm_ = register_module("norm_cond", nn::LayerNorm(o.context_dim, kNormEps, where));
  time_tokens_ = register_module("to_time_tokens", nn::TimeMlp(o.width, o.width, kTokens * o.context_dim, where));
  if (!has_vector(o)) return;
  // The public code makes both, and uses one.
  condition_tokens_ = nn::add_scope(*this, "to_cond_tokens")
                          .register_module("0", nn::Linear(o.condition_dim, kTokens * o.context_dim, true, where));
  auto& mlp = nn::add_scope(*this, "to_cond_tokens_2d");
  const auto middle = static_cast<int64_t>(std::sqrt(static_cast<double>(o.context_dim * o.condition_dim)));
  for (int64_t i = 0; i < 4; ++i) {
    const nn::Linear layer(i == 0 ? o.condition_dim : middle, i == 3 ? o.context_dim : middle, true, where);
    token_mlp_.push_back(mlp.register_module(std::to_string(2 * i), layer));
  }
}

Tensor SgUNetImpl::told(const Condition& condition, int64_t count) const {
  const auto& o = options_;
  if (!has_vector(o)) {
    SDG_CHECK(condition.mode != Condition::Mode::kGiven || !condition.value.defined(),
              "SG U-Net: this network was built without condition vectors, and got some");
    return {};
  }
  const auto null = null_cond_emb_.unsqueeze(0);  // [1, 1 or tokens, condition_dim]
  if (condition.mode != Condition::Mode::kGiven) return null.expand({count, -1, -1});
  auto value = condition.value;
  if (o.condition == ConditionKind::kIndex) {
    auto given = condition;
    given.drop = Tensor();
    const auto rows = resolve_index(given, o.condition_dim, /*null_row=*/-1, count, null.device(), "SG U-Net");
    value = at::one_hot(rows, o.condition_dim).to(null.scalar_type());
  }
  if (o.condition == ConditionKind::kPatchVector) {
    check_shape(value, {count, o.tokens, o.condition_dim}, "SG U-Net: condition.value");
  } else {
    check_shape(value, {count, o.condition_dim}, "SG U-Net: condition.value");
    value = value.unsqueeze(1);
  }
  if (!condition.drop.defined()) return value;
  check_shape(condition.drop, {count}, "SG U-Net: condition.drop");
  return at::where(condition.drop.view({count, 1, 1}), null, value);
}

UNetSignal SgUNetImpl::signal(const Tensor& t, const Tensor& told, const ForwardOptions& options) const {
  const auto& o = options_;
  const auto scaled = o.time_scale == 1 ? t : t * o.time_scale;
  const auto sinusoid = nn::time_embedding(scaled, o.width).to(time_embed_->first->weight.scalar_type());
  auto embedding = time_embed_->forward(sinusoid);  // [N, 4 width]
  if (!o.context_attention) {
    if (told.defined()) embedding = at::cat({embedding, condition_mlp_->forward(told.squeeze(1))}, 1);
    return {at::silu(embedding), {}, options.dropout};
  }
  const auto n = t.size(0);
  auto context = time_tokens_->forward(sinusoid).view({n, kTokens, o.context_dim});
  if (told.defined()) {
    Tensor tokens;
    if (o.condition == ConditionKind::kPatchVector) {
      tokens = told;
      for (size_t i = 0; i < token_mlp_.size(); ++i)
        tokens = token_mlp_[i]->forward(i == 0 ? tokens : at::silu(tokens));
    } else {
      tokens = condition_tokens_->forward(told.squeeze(1)).view({n, kTokens, o.context_dim});
    }
    context = at::cat({context, tokens}, 1);
    const auto pooled = o.pool_first ? told.select(1, 0) : told.mean(1);
    embedding = embedding + condition_mlp_->forward(pooled);
  }
  return {at::silu(embedding), context_norm_->forward(context), options.dropout};
}

ForwardOutput SgUNetImpl::forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                                  const ForwardOptions& options) {
  const auto& o = options_;
  const auto n = x_t.size(0);
  check_shape(x_t, {-1, o.channels, o.size, o.size}, "SG U-Net: x_t");
  check_shape(t, {n}, "SG U-Net: t");
  auto input = x_t;
  if (o.map_channels > 0)
    input = at::cat(
        {x_t, resolve_map(condition, null_layout_emb_, o.map_channels, n, "SG U-Net").to(x_t.scalar_type())}, 1);
  auto out = trunk_.forward(input, signal(t, told(condition, n), options), options);
  if (out.prediction.defined()) out.prediction = out.prediction.narrow(1, 0, o.channels);
  return out;
}

int64_t SgUNetImpl::macs() const {
  auto total = trunk_.macs();
  const auto add = [&](const nn::Linear& linear, int64_t rows = 1) { total += rows * linear->weight.numel(); };
  const auto add_mlp = [&](const nn::TimeMlp& mlp) {
    if (!mlp) return;
    add(mlp->first);
    add(mlp->second);
  };
  for (const auto* mlp : {&time_embed_, &condition_mlp_, &time_tokens_}) add_mlp(*mlp);
  if (options_.condition == ConditionKind::kPatchVector) {
    for (const auto& layer : token_mlp_) add(layer, options_.tokens);
  } else if (condition_tokens_) {
    add(condition_tokens_);
  }
  return total;
}

}  // namespace sdg::model
