#include "sdg/learn/guided_target.h"

#include <ATen/core/grad_mode.h>

namespace sdg::learn {
namespace {

Tensor per_image(const Tensor& values) {
  return values.view({-1, 1, 1, 1});
}

Tensor dropped(const Shard& shard) {
  return shard.draws.drop.to(shard.x.device());
}

Tensor predicted(const network::Network& network, const Shard& shard, const model::Condition& condition) {
  return network.forward(shard.point.input, shard.point.time, condition).prediction;
}

}  // namespace

flow::TrainingPoint aimed_with_strength(flow::TrainingPoint point, const Tensor& unconditional,
                                        const Tensor& strength) {
  const auto b = per_image(strength);
  point.target = (point.target - (1 - b) * unconditional) / b;
  const auto weight = strength.square();
  point.weight = point.weight.defined() ? point.weight * weight : weight;
  return point;
}

flow::TrainingPoint aimed_at_guided(flow::TrainingPoint point, const Tensor& conditional, const Tensor& unconditional,
                                    const Tensor& k) {
  point.target = point.target + per_image(k) * (conditional - unconditional);
  return point;
}

bool GuidedTarget::learns(recipe::LearnGuidance how) const {
  return state_.config.guided.learn == how && state_.conditioned() &&
         state_.steps_done >= network::guided_step(state_.config);
}

Tensor GuidedTarget::strength(const Shard& shard) const {
  if (!learns(recipe::LearnGuidance::kGft)) return {};
  return shard.draws.strength.to(shard.x.device()).masked_fill(dropped(shard), 1);
}

void GuidedTarget::aim(Shard& shard, const model::Condition& condition) const {
  if (!active()) return;
  const at::NoGradGuard no_grad;
  if (learns(recipe::LearnGuidance::kGft)) {
    const auto without = predicted(state_.student, shard, model::Condition::null());
    shard.point = aimed_with_strength(std::move(shard.point), without, condition.strength);
    return;
  }
  const auto with = predicted(state_.teacher, shard, condition);
  const auto without = predicted(state_.teacher, shard, model::Condition::null());
  const auto k = at::full({shard.x.size(0)}, 1 - 1 / state_.config.guided.scale, shard.x.options());
  shard.point = aimed_at_guided(std::move(shard.point), with, without, k.masked_fill(dropped(shard), 0));
}

}  // namespace sdg::learn
