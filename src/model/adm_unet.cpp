#include "sdg/model/adm_unet.h"

#include "model/strength_input.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/nn/embed.h"
#include "sdg/nn/init.h"

namespace sdg::model {
namespace {

const AdmUNetOptions& checked(const AdmUNetOptions& o) {
  check(o, "ADM U-Net");
  SDG_CHECK_USAGE(o.condition == ConditionKind::kNone || o.condition == ConditionKind::kIndex ||
                      o.condition == ConditionKind::kVector,
                  "ADM U-Net: it cannot carry the condition ", config::name(o.condition));
  SDG_CHECK_USAGE(o.condition != ConditionKind::kIndex || o.classes > 0,
                  "ADM U-Net: condition index needs at least one class, got ", o.classes);
  return o;
}

}  // namespace

AdmUNetImpl::AdmUNetImpl(const AdmUNetOptions& options, const at::TensorOptions& where)
    : options_(checked(options)),
      trunk_(*this, options, {.input = options.channels, .embedding = 4 * options.width}, where) {
  const auto& o = options_;
  time_embed_ = register_module("time_embed", nn::TimeMlp(o.width, dim(), dim(), where));
  if (o.strength) strength_embed_ = register_module("strength_embed", make_strength_mlp(dim(), where));
  if (o.condition == ConditionKind::kIndex)
    label_emb_ = register_module("label_emb", nn::Embedding(o.classes + (o.null_label ? 1 : 0), dim(), where));
  if (o.condition == ConditionKind::kVector) {
    null_embed_ = register_parameter("null_embed", nn::initial_zeros({1, 1, dim()}, where));
    unconditional_embed_ = register_parameter("unconditional_embed", nn::initial_zeros({1, 1, dim()}, where));
  }
}

Tensor AdmUNetImpl::embedding(const Tensor& t, const Condition& condition) const {
  const auto& o = options_;
  const auto scaled = o.time_scale == 1 ? t : t * o.time_scale;
  const auto sinusoid = nn::time_embedding(scaled, o.width).to(time_embed_->first->weight.scalar_type());
  const auto time = with_strength(time_embed_->forward(sinusoid), strength_embed_, condition.strength,
                                  sinusoid.options(), "ADM U-Net");  // [N, 4 width]
  if (o.condition == ConditionKind::kIndex)
    return time + label_emb_->forward(resolve_index(condition, o.classes, o.null_label ? o.classes : -1, t.size(0),
                                                    t.device(), "ADM U-Net"));
  if (o.condition == ConditionKind::kVector)
    return time + resolve_vector(condition, null_embed_, unconditional_embed_, t.size(0), 0, "ADM U-Net").squeeze(1);
  SDG_CHECK(condition.mode != Condition::Mode::kGiven,
            "ADM U-Net: this network was built without a condition, and got one");
  return time;
}

ForwardOutput AdmUNetImpl::run(const Tensor& x_t, const Tensor& t, const Condition& condition,
                               const ForwardOptions& options) const {
  check_shape(x_t, {-1, options_.channels, options_.size, options_.size}, "ADM U-Net: x_t");
  check_shape(t, {x_t.size(0)}, "ADM U-Net: t");
  return trunk_.forward(x_t, {at::silu(embedding(t, condition)), {}, options.dropout}, options);
}

ForwardOutput AdmUNetImpl::forward(const Tensor& x_t, const Tensor& t, const Condition& condition,
                                   const ForwardOptions& options) {
  auto out = run(x_t, t, condition, options);
  if (!out.prediction.defined()) return out;
  if (options_.learn_sigma) out.variance = out.prediction.narrow(1, options_.channels, options_.channels);
  out.prediction = out.prediction.narrow(1, 0, options_.channels);
  return out;
}

Tensor AdmUNetImpl::prediction(const Tensor& x_t, const Tensor& t, const Condition& condition) {
  return run(x_t, t, condition, {}).prediction;
}

int64_t AdmUNetImpl::macs() const {
  const auto told = options_.strength ? strength_macs(dim()) : 0;
  return trunk_.macs() + options_.width * dim() + dim() * dim() + told;
}

}  // namespace sdg::model
