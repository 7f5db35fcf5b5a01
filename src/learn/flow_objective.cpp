#include "sdg/learn/flow_objective.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "learn/number_text.h"
#include "sdg/core/error.h"
#include "sdg/flow/path.h"
#include "sdg/learn/step_result.h"

namespace sdg::learn {

void FlowObjective::begin(int64_t shards) {
  parts_.assign(static_cast<size_t>(shards), {});
}

void FlowObjective::after_pass(Shard& shard) {
  auto losses = flow::velocity_loss(shard.output.prediction, shard.point.target);  // [n]
  if (shard.point.weight.defined()) losses = losses * shard.point.weight;
  const auto sum = losses.sum();
  auto& part = parts_[static_cast<size_t>(shard.number)];
  part.loss = sum.item<double>() / static_cast<double>(shard.batch);
  if (!std::isfinite(part.loss)) part.finite_data = shard.x.isfinite().all().item<bool>();
  const auto scaled = sum / static_cast<double>(shard.batch);
  part.gradient = flat_.flatten(
      torch::autograd::grad({scaled}, model_parameters_, {}, shard.keep_graph, false, /*allow_unused=*/true));
}

// In the shards' order, so that the sum does not depend on threads.
Contribution FlowObjective::join(StepResult& result) {
  Contribution out;
  for (auto& part : parts_) {
    out.loss += part.loss;
    if (out.gradient.defined()) {
      out.gradient.add_(part.gradient);
    } else {
      out.gradient = part.gradient;
    }
  }
  out.loss = reducer_.sum(out.loss);
  result.flow_loss = out.loss;
  if (!std::isfinite(out.loss)) {
    const bool data = std::all_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.finite_data; });
    const bool bad_data = reducer_.max(data ? 0 : 1) > 0;
    throw Error(cat("the flow loss is ", number_text(out.loss),
                    bad_data ? " (the training data itself holds numbers that are not finite)" : ""));
  }
  parts_.clear();
  return out;
}

}  // namespace sdg::learn
