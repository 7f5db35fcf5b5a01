#include "sdg/learn/optimizer.h"

#include <ATen/ops/_fused_adamw.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "sdg/core/error.h"

namespace sdg::learn {

namespace {
constexpr double kLargestNorm = 1e15;  // of a gradient that keeps AdamW within float32's range
}

double learning_rate(const recipe::TrainOptions& options, int64_t step, int64_t width) {
  if (options.lr_width > 0 && width > 0) {
    auto of_width = options;
    of_width.lr_width = 0;
    of_width.lr *= static_cast<double>(options.lr_width) / static_cast<double>(width);
    return learning_rate(of_width, step);
  }
  if (options.schedule == recipe::Schedule::kPaper)
    return options.lr *
           std::min(1.0, static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, options.warmup)));
  if (step < options.warmup) return options.lr * static_cast<double>(step + 1) / static_cast<double>(options.warmup);
  if (options.schedule == recipe::Schedule::kConstant) return options.lr;
  const double span = std::max<double>(1, static_cast<double>(options.steps - options.warmup));
  const double progress = std::min(1.0, static_cast<double>(step - options.warmup) / span);
  constexpr double kFloor = 0.01;
  return options.lr * (kFloor + (1 - kFloor) * 0.5 * (1 + std::cos(std::numbers::pi * progress)));
}

double ema_decay(const recipe::TrainOptions& options, int64_t n) {
  return std::min(options.ema, (1.0 + static_cast<double>(n)) / (10.0 + static_cast<double>(n)));
}

AdamW::AdamW(const recipe::TrainOptions& options, const Tensor& values, std::vector<ParameterGroup> groups)
    : exp_avg(at::zeros_like(values)),
      exp_avg_sq(at::zeros_like(values)),
      steps_done(at::zeros({}, values.options())),
      options_(options),
      groups_(std::move(groups)) {
  if (groups_.empty()) groups_ = {{1, options.weight_decay, {{0, values.size(0)}}}};
  int64_t covered = 0;
  for (const auto& group : groups_)
    for (const auto& part : group.parts) covered += part.size();
  SDG_ASSERT(covered == values.size(0), "groups of ", covered, " of ", values.size(0), " parameters");
}

AdamW::AdamW(const recipe::TrainOptions& options, const Tensor& values, const std::vector<ParameterGroup>& groups,
             const Slices& slices, Reducer& reducer)
    : AdamW(options, values.narrow(0, slices.own().begin, slices.own().size()), groups_within(groups, slices.own())) {
  slices_ = &slices;
  reducer_ = &reducer;
}

// Within these bounds nothing that AdamW computes can leave the range of float32; beyond them it is looked at.
bool AdamW::may_leave_range(double norm, double lr) const {
  const bool decays_far = std::any_of(groups_.begin(), groups_.end(), [&](const ParameterGroup& group) {
    return !(lr * group.lr * group.weight_decay <= 1);
  });
  return !(norm <= kLargestNorm && options_.eps >= 1e-15 && options_.beta1 <= 0.9999 && options_.beta2 <= 0.99999) ||
         decays_far;
}

Tensor AdamW::step_unless(Tensor& bad, const Tensor& values, const Tensor& gradient, double lr) {
  const at::NoGradGuard no_grad;
  const auto norm = gradient.norm();
  const bool clips = options_.clip > 0;
  bad = bad.logical_or(norm.isfinite().logical_not());
  if (!clips) bad = bad.logical_or(norm.gt(kLargestNorm));
  if (clips) gradient.mul_((options_.clip / norm).clamp_max(1));
  const std::vector<Tensor> state{values, exp_avg, exp_avg_sq};
  std::vector<Tensor> before;
  if (may_leave_range(clips ? std::min(options_.clip, kLargestNorm) : kLargestNorm, lr)) {
    for (const auto& tensor : state) before.push_back(tensor.clone());
  }
  update(values, gradient, lr, bad);
  for (size_t i = 0; i < before.size(); ++i) bad = bad.logical_or(state[i].isfinite().all().logical_not());
  for (size_t i = 0; i < before.size(); ++i) state[i].copy_(at::where(bad, before[i], state[i]));
  steps_done.add_(bad.logical_not());
  return norm;
}

void AdamW::update(const Tensor& values, const Tensor& gradient, double lr, const Tensor& bad) {
  const auto at_step = steps_done + 1;
  const auto found_inf = bad.defined() ? std::optional<Tensor>(bad.to(at::kFloat)) : std::nullopt;
  for (const auto& group : groups_) {
    const auto parts = [&](const Tensor& whole) {
      std::vector<Tensor> out;
      for (const auto& part : group.parts) out.push_back(whole.narrow(0, part.begin, part.size()));
      return out;
    };
    const std::vector<Tensor> steps(group.parts.size(), at_step);
    at::_fused_adamw_(parts(values), parts(gradient), parts(exp_avg), parts(exp_avg_sq), {}, steps, lr * group.lr,
                      options_.beta1, options_.beta2, group.weight_decay, options_.eps, false, false, {}, found_inf);
  }
}

double AdamW::step(const Tensor& values, const Tensor& gradient, double lr) {
  const at::NoGradGuard no_grad;
  const double norm = slices_ ? norm_of_slices(gradient, *slices_, *reducer_) : gradient.norm().item<double>();
  SDG_CHECK(std::isfinite(norm), "the gradient is not finite (norm ", std::abs(norm), ")");
  const bool clipped = options_.clip > 0 && norm > options_.clip;
  if (clipped) gradient.mul_(options_.clip / norm);
  const std::vector<Tensor> state{values, exp_avg, exp_avg_sq};
  std::vector<Tensor> before;
  if (may_leave_range(clipped ? options_.clip : norm, lr)) {
    for (const auto& tensor : state) before.push_back(tensor.clone());
  }
  update(values, gradient, lr, {});
  steps_done.add_(1);
  const auto finite = [](const Tensor& tensor) { return tensor.isfinite().all().item<bool>(); };
  bool bad = !before.empty() && !std::all_of(state.begin(), state.end(), finite);
  if (reducer_ && !before.empty()) bad = reducer_->max(bad ? 1 : 0) > 0;
  if (bad) {
    for (size_t i = 0; i < state.size(); ++i) state[i].copy_(before[i]);
    steps_done.sub_(1);
    throw Error(cat("the optimizer would make weights that are not finite (gradient norm ", norm, ", train.eps ",
                    options_.eps, ", train.weight_decay ", options_.weight_decay, ")"));
  }
  return norm;
}

}  // namespace sdg::learn
