#include "sdg/learn/flow_objective.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "learn/number_text.h"
#include "learn/taken.h"
#include "sdg/core/error.h"
#include "sdg/flow/path.h"
#include "sdg/learn/step_result.h"

namespace sdg::learn {

void FlowObjective::begin(int64_t shards) {
  sum_.begin(state_, OrderedSum::Exchange::kAsTheyCome);
  finite_data_.assign(static_cast<size_t>(shards), 1);
  inner_.assign(static_cast<size_t>(shards), 0);
}

double FlowObjective::inner_weight() const {
  return state_.student.model->has_inner() ? state_.config.guided.inner_weight : 0;
}

void FlowObjective::before_pass(Shard& shard) {
  shard.forward.inner = inner_weight() > 0;
}

// The loss, the inner head's, and the gradient of their sum.
std::vector<Tensor> FlowObjective::after_pass(Shard& shard) {
  const auto batch = static_cast<double>(shard.batch);
  const auto sum_of = [&](const Tensor& prediction) {
    auto losses = flow::velocity_loss(prediction, shard.point.target);  // [n]
    if (shard.point.weight.defined()) losses = losses * shard.point.weight;
    return losses.sum();
  };
  const auto share_of = [&](const Tensor& sum) { return sum.detach().to(at::kDouble) / batch; };
  const auto sum = sum_of(shard.output.prediction);
  std::vector<Tensor> out{share_of(sum), {}};
  auto scaled = sum / batch;
  if (shard.output.inner.defined()) {
    const auto inner = sum_of(shard.output.inner);
    out[1] = share_of(inner);
    scaled = scaled + inner * (inner_weight() / batch);
  }
  const auto watched = sum_.watch(shard, state_.model_parameters);
  const auto gradients =
      torch::autograd::grad({scaled}, state_.model_parameters, {}, shard.keep_graph, false, /*allow_unused=*/true);
  out.insert(out.end(), gradients.begin(), gradients.end());
  return out;
}

void FlowObjective::take(const Shard& shard, std::vector<Tensor> computed) {
  const auto number = static_cast<size_t>(shard.number);
  const auto loss = figure_of(shard, computed[0]);
  if (loss.known() && !std::isfinite(loss)) finite_data_[number] = shard.x.isfinite().all().item<bool>() ? 1 : 0;
  if (computed[1].defined()) inner_[number] = figure_of(shard, computed[1]);
  computed.erase(computed.begin(), computed.begin() + 2);
  sum_.add(shard, loss, std::move(computed));
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
  if (inner_weight() == 0) return out;
  result.inner_loss = sum_in_order(state_, inner_);
  SDG_CHECK(!result.inner_loss.known() || std::isfinite(result.inner_loss), "the inner head's loss is ",
            number_text(result.inner_loss));
  out.loss = out.loss.plus(result.inner_loss.times(inner_weight()));
  return out;
}

}  // namespace sdg::learn
