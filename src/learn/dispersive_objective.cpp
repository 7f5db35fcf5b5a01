#include "sdg/learn/dispersive_objective.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "learn/number_text.h"
#include "sdg/core/error.h"
#include "sdg/learn/step_result.h"

namespace sdg::learn {

Tensor dispersive_loss(const Tensor& z) {
  const auto square = z.square().sum(1);                                                  // [n]
  const auto distance = square.unsqueeze(1) + square.unsqueeze(0) - 2 * z.matmul(z.t());  // [n, n]
  const auto n = static_cast<double>(z.size(0));
  return at::logsumexp((-distance / static_cast<double>(z.size(1))).flatten(), {0}) - std::log(n * n);
}

void DispersiveObjective::begin(int64_t shards) {
  sum_.begin(state_, OrderedSum::Exchange::kAtTheEnd);
  asked_.assign(static_cast<size_t>(shards), 0);
}

void DispersiveObjective::before_pass(Shard& shard) {
  auto& depths = shard.forward.feature_depths;
  asked_[static_cast<size_t>(shard.number)] = depths.size();
  depths.push_back(state_.student.model->default_feature_depth());
  shard.keep_graph = true;
}

std::vector<Tensor> DispersiveObjective::after_pass(Shard& shard) {
  const auto number = static_cast<size_t>(shard.number);
  const auto& tokens = shard.output.all_features.at(asked_[number]);                // [n, T, D]
  const auto z = tokens.slice(1, state_.student.model->extra_tokens()).flatten(1);  // [n, F]
  const double share = static_cast<double>(z.size(0)) / static_cast<double>(shard.batch);
  const auto loss = dispersive_loss(z) * (state_.config.train.dispersive * share);
  auto out =
      torch::autograd::grad({loss}, state_.model_parameters, {}, /*retain_graph=*/true, false, /*allow_unused=*/true);
  out.push_back(loss.detach());
  return out;
}

void DispersiveObjective::take(const Shard& shard, std::vector<Tensor> computed) {
  sum_.add_with_loss(shard, std::move(computed));
}

Contribution DispersiveObjective::join(StepResult& result) {
  auto out = sum_.take();
  result.dispersive_loss = out.loss.known() ? Figure(out.loss / state_.config.train.dispersive)
                                            : out.loss.times(1 / state_.config.train.dispersive);
  SDG_CHECK(!out.loss.known() || std::isfinite(out.loss), "the dispersive loss is ", number_text(out.loss));
  return out;
}

}  // namespace sdg::learn
