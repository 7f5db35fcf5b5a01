// What is said of a step that was not finite.
#include <cmath>

#include "learn/learner_shard.h"
#include "sdg/learn/learner.h"

namespace sdg::learn {

std::string number_text(double value) {
  return std::isnan(value) ? "nan" : std::isinf(value) ? "infinite" : cat(value);
}

void Learner::bad_step(const std::string& what) const {
  const auto& train = config_.train;
  throw BadStep(cat("step ", steps_done_ + 1, ": ", what,
                    "; the step was undone, nothing was changed by it. What may help: a lower train.lr (now ", train.lr,
                    "), ",
                    train.clip > 0 ? cat("a smaller train.clip (now ", train.clip, ")") : "a train.clip (now off)",
                    train.warmup > steps_done_ ? ", a longer train.warmup" : ""));
}

// Which loss a gradient that is not finite came from, and where it shows; empty where it is finite.
std::string Learner::bad_gradient(const Tensor& gradient, const Tensor& of_clusters) const {
  const auto finite = [](const Tensor& tensor) { return tensor.isfinite().all().item<bool>(); };
  std::string first;
  int64_t bad = 0;
  const auto parts = flat_.named_views(gradient);
  for (const auto& [name, part] : parts) {
    if (finite(part)) continue;
    if (bad++ == 0) first = name;
  }
  if (bad == 0) return {};
  const auto* from = of_clusters.defined() && !finite(of_clusters) ? "clustering" : "flow";
  return cat(", that of the ", from, " loss, in ", bad, " of ", parts.size(), " tensors, e.g. ", first);
}

}  // namespace sdg::learn
