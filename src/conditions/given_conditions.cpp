#include "sdg/conditions/given_conditions.h"

#include "sdg/conditions/condition_source.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"

namespace sdg::conditions {

GivenConditions given_conditions(const ConditionContext& context) {
  const auto& source = condition_source(context.config.condition.source);
  auto out = source.given(context);
  if (!out.ids.defined()) return out;
  if (out.key.empty()) out.key = condition_key(out.ids);
  const auto* before = context.before;
  SDG_CHECK(!before || before->conditions.empty() || before->conditions == out.key, "condition.",
            config::name(context.config.condition.source), ": ", source.origin(context),
            " gives other indices than those this run was trained on up to step ", before ? before->step : 0,
            "; bring them back, or choose another --run");
  return out;
}

}  // namespace sdg::conditions
