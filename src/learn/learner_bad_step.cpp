// What is said of a step that was not finite.
#include <algorithm>
#include <set>

#include "sdg/core/error.h"
#include "sdg/learn/learner.h"

namespace sdg::learn {

std::string Learner::bad_step(const std::string& what) const {
  const auto& train = state_.config.train;
  return cat("step ", state_.steps_done + 1, ": ", what,
             "; the step was undone, nothing was changed by it. What may help: a lower train.lr (now ", train.lr, "), ",
             train.clip > 0 ? cat("a smaller train.clip (now ", train.clip, ")") : "a train.clip (now off)",
             train.warmup > state_.steps_done ? ", a longer train.warmup" : "");
}

// Which loss a gradient that is not finite came from, and where it shows; empty where it is finite. The first
// contribution's tensor holds the sum of all, over all ranks.
std::string Learner::bad_gradient(const Tensor& gradient, const std::vector<Objective*>& objectives,
                                  const std::vector<Contribution>& contributions) const {
  if (!gradient.defined()) return {};
  const auto finite = [](const Tensor& tensor) { return tensor.isfinite().all().item<bool>(); };
  const auto& parameters = state_.flat.parameters();
  const auto own = state_.stepped();
  auto bad = at::zeros({static_cast<int64_t>(parameters.size())}, at::kLong);  // of each parameter, on some rank
  int64_t begin = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto end = begin + parameters[i].numel();
    const auto from = std::max(begin, own.begin), to = std::min(end, own.end);
    if (from < to && !finite(gradient.narrow(0, from - own.begin, to - from))) bad[static_cast<int64_t>(i)] = 1;
    begin = end;
  }
  state_.reducer.all_reduce(bad, Reducer::Op::kMax);
  const auto count = bad.sum().item<int64_t>();
  if (count == 0) return {};
  std::set<std::string> names;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (bad[static_cast<int64_t>(i)].item<int64_t>() > 0) names.insert(state_.flat.names()[i]);
  }
  auto from = objectives.front()->name();
  for (size_t i = 1; i < contributions.size(); ++i) {
    if (!contributions[i].gradient.defined()) continue;
    const bool anywhere = state_.reducer.max(finite(contributions[i].gradient) ? 0 : 1) > 0;  // on some rank
    if (anywhere) from = objectives[i]->name();
  }
  return cat(", that of the ", from, " loss, in ", count, " of ", parameters.size(), " tensors, e.g. ", *names.begin());
}

}  // namespace sdg::learn
