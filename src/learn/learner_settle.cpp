// Steps whose end the host does not wait for.
#include <string>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/learn/learner.h"

namespace sdg::learn {

void Learner::wait_for_nothing() {
  state_.no_waiting = state_.reducer.ranks() == 1;
}

// What went bad is numbered: the objectives in their order, then the gradient or the update.
void Learner::update_unless_bad(StepResult& result, const std::vector<Contribution>& contributions) {
  const at::NoGradGuard no_grad;
  const auto options = at::TensorOptions(state_.device).dtype(at::kLong);
  if (!verdict_.defined()) verdict_ = at::zeros({2}, options);
  const auto before = verdict_[0].ne(0);
  auto what = at::zeros({}, options);
  for (size_t i = contributions.size(); i-- > 0;) {
    if (contributions[i].loss.known()) continue;  // nothing of it lies on the device
    const auto finite = contributions[i].loss.tensor().isfinite();
    what = at::where(finite, what, at::full_like(what, static_cast<int64_t>(i) + 1));
  }
  result.bad = before.logical_or(what.ne(0));
  result.grad_norm = Figure::of(optimizer_.step_unless(result.bad, state_.flat.values(), result.gradient, result.lr));
  const auto last = at::full_like(what, static_cast<int64_t>(contributions.size()) + 1);
  what = at::where(result.bad.logical_and(what.eq(0)), last, what);
  const auto now = at::stack({at::full_like(what, state_.steps_done + 1), what});
  verdict_ = at::where(before.logical_or(result.bad.logical_not()), verdict_, now);
}

void Learner::settle() {
  if (unsettled_ == 0) return;
  unsettled_ = 0;
  const auto read = verdict_.cpu();
  const auto* verdict = read.const_data_ptr<int64_t>();
  const int64_t first_bad = verdict[0];  // verdict_ itself may be what was read
  const auto what = static_cast<size_t>(verdict[1]);
  const int64_t undone = first_bad == 0 ? 0 : state_.steps_done - (first_bad - 1);
  state_.steps_done -= undone;
  for (const auto& objective : objectives_) objective->settled(static_cast<size_t>(undone));
  prior_.settled(static_cast<size_t>(undone));
  if (first_bad == 0) return;
  verdict_ = Tensor();
  std::vector<std::string> names;
  for (const auto& objective : objectives_) {
    if (objective->active()) names.push_back(objective->name());
  }
  throw BadStep(bad_step(what >= 1 && what <= names.size()
                             ? cat("the ", names[what - 1], " loss is not finite")
                             : std::string("the gradient, or what it would make of the weights, is not finite")));
}

}  // namespace sdg::learn
