// What is said of a step that was not finite.
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
  std::string first;
  int64_t bad = 0;
  const auto parts = state_.flat.named_views(gradient);
  for (const auto& [name, part] : parts) {
    if (finite(part)) continue;
    if (bad++ == 0) first = name;
  }
  if (bad == 0) return {};
  auto from = objectives.front()->name();
  for (size_t i = 1; i < contributions.size(); ++i) {
    if (!contributions[i].gradient.defined()) continue;
    const bool anywhere = state_.reducer.max(finite(contributions[i].gradient) ? 0 : 1) > 0;  // on some rank
    if (anywhere) from = objectives[i]->name();
  }
  return cat(", that of the ", from, " loss, in ", bad, " of ", parts.size(), " tensors, e.g. ", first);
}

}  // namespace sdg::learn
