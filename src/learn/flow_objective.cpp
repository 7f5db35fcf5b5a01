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
  sum_.begin(state_, OrderedSum::Exchange::kAsTheyCome);
  finite_data_.assign(static_cast<size_t>(shards), 1);
}

void FlowObjective::after_pass(Shard& shard) {
  auto losses = flow::velocity_loss(shard.output.prediction, shard.point.target);  // [n]
  if (shard.point.weight.defined()) losses = losses * shard.point.weight;
  const auto sum = losses.sum();
  Figure loss = shard.no_waiting ? Figure::of(sum.detach().to(at::kDouble) / static_cast<double>(shard.batch))
                                 : Figure(sum.item<double>() / static_cast<double>(shard.batch));
  if (loss.known() && !std::isfinite(loss))
    finite_data_[static_cast<size_t>(shard.number)] = shard.x.isfinite().all().item<bool>() ? 1 : 0;
  const auto scaled = sum / static_cast<double>(shard.batch);
  sum_.add(
      shard.number, loss,
      torch::autograd::grad({scaled}, state_.model_parameters, {}, shard.keep_graph, false, /*allow_unused=*/true));
}

Contribution FlowObjective::join(StepResult& result) {
  auto out = sum_.take();
  result.flow_loss = out.loss;
  if (out.loss.known() && !std::isfinite(out.loss)) {
    const bool data = std::find(finite_data_.begin(), finite_data_.end(), 0) == finite_data_.end();
    const bool bad_data = state_.reducer.max(data ? 0 : 1) > 0;
    throw Error(cat("the flow loss is ", number_text(out.loss),
                    bad_data ? " (the training data itself holds numbers that are not finite)" : ""));
  }
  return out;
}

}  // namespace sdg::learn
