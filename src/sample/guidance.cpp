#include "sdg/sample/guidance.h"

#include <cmath>
#include <memory>
#include <numbers>

#include "sdg/core/error.h"

namespace sdg::sample {
namespace {
// Below this share of noise the prediction of the clean image says nothing of the velocity that rounding has not
// spoilt.
constexpr double kLittleNoise = 1e-3;
}  // namespace

Tensor guide(const Tensor& unconditional, const Tensor& conditional, double w, int64_t channels) {
  SDG_CHECK(unconditional.sizes() == conditional.sizes(), "guide: both velocities must have one shape, got ",
            to_string(unconditional.sizes()), " and ", to_string(conditional.sizes()));
  if (channels <= 0 || channels >= conditional.size(1)) return at::lerp(unconditional, conditional, w);
  const auto guided = at::lerp(unconditional.narrow(1, 0, channels), conditional.narrow(1, 0, channels), w);
  return at::cat({guided, conditional.slice(1, channels)}, 1);
}

namespace {

// The share of w - 1 at time t.
double share_of(Schedule schedule, double t) {
  switch (schedule) {
    case Schedule::kConstant:
      break;
    case Schedule::kRising:
      return 2 * t;
    case Schedule::kFalling:
      return 2 * (1 - t);
    case Schedule::kMiddle:
      return 2 * std::pow(std::sin(std::numbers::pi * t), 2);
  }
  return 1;
}

// What a walk remembers between evaluations.
struct Kept {
  int64_t evaluations = 0;  // where guidance acts
  Tensor direction;         // conditional - null
};

}  // namespace

double Guidance::at(double t) const {
  constexpr double kRounding = 1e-9;  // stage times are sums: 0.2 + 0.1 lies in an interval up to 0.3
  const bool begun = begin <= 0 || t >= begin - kRounding;
  const bool over = end < 1 && t > end + kRounding;
  if (!begun || over) return 1;
  return schedule == Schedule::kConstant ? w : 1 + (w - 1) * share_of(schedule, t);
}

Guidance guidance_of(const SampleOptions& options) {
  constexpr int64_t kDitChannels = 3;
  const bool from_zero = options.guidance_convention == Convention::kPaper;
  return {.w = options.guidance + (from_zero ? 1 : 0),
          .begin = options.guidance_begin,
          .end = options.guidance_end,
          .channels = options.guidance_convention == Convention::kDit ? kDitChannels : options.guidance_channels,
          .schedule = options.guidance_schedule,
          .rescale = options.guidance_rescale,
          .every = options.guidance_every,
          .between = options.guidance_between};
}

Guidance inner_guidance_of(const SampleOptions& options) {
  return {.w = options.inner_guidance, .begin = options.inner_guidance_begin, .end = options.inner_guidance_end};
}

Tensor rescaled(const Tensor& guided, const Tensor& conditional, const Tensor& x_t, double t, double sigma_min,
                double phi) {
  const auto time = at::full({1}, t, x_t.options());
  const auto data = flow::data_from_velocity(guided, x_t, time, sigma_min);
  const auto spread = [](const Tensor& x) {
    Shape shape(static_cast<size_t>(x.dim()), 1);
    shape[0] = x.size(0);
    return x.flatten(1).std(1, /*unbiased=*/true).reshape(shape);  // [N, 1, ...]
  };
  const auto wanted = spread(flow::data_from_velocity(conditional, x_t, time, sigma_min));
  const auto factor = phi * wanted / spread(data).clamp_min(1e-8) + (1 - phi);
  return flow::velocity_from_data(data * factor, x_t, time, sigma_min);
}

Denoiser guided(Denoiser conditional, Denoiser null, const Guidance& guidance, PairFn both) {
  const double sigma_min = conditional.sigma_min();
  auto kept = std::make_shared<Kept>();
  auto answer = [conditional = std::move(conditional), null = std::move(null), both = std::move(both), guidance, kept,
                 sigma_min](const Tensor& x_t, double t) -> Answer {
    const double w = guidance.at(t);
    if (w == 1.0) return conditional.answer(x_t, t);
    if (w == 0.0 && guidance.channels == 0 && guidance.every == 1) return null.answer(x_t, t);
    const bool anew = kept->evaluations++ % guidance.every == 0;
    if (!anew && guidance.between == Between::kNone) return conditional.answer(x_t, t);
    auto [c, u] = !anew  ? std::pair{conditional.answer(x_t, t), Answer(Tensor())}
                  : both ? both(x_t, t)
                         : std::pair{conditional.answer(x_t, t), null.answer(x_t, t)};
    if (!anew) u.velocity = c.velocity - kept->direction;
    if (anew && guidance.every > 1) kept->direction = c.velocity - u.velocity;
    auto velocity = guide(u.velocity, c.velocity, w, guidance.channels);
    if (guidance.rescale > 0 && 1 - (1 - sigma_min) * t >= kLittleNoise)
      velocity = rescaled(velocity, c.velocity, x_t, t, sigma_min, guidance.rescale);
    return {velocity, c.variance};
  };
  return Denoiser(std::move(answer), sigma_min);
}

Denoiser clipped(Denoiser denoiser, Clip clip, double percentile) {
  if (clip == Clip::kNone) return denoiser;
  const double sigma_min = denoiser.sigma_min();
  auto answer = [denoiser = std::move(denoiser), clip, percentile](const Tensor& x_t, double t) -> Answer {
    const auto views = denoiser.at(x_t, t);
    if (denoiser.noise_share(t) < kLittleNoise) return {views.velocity(), views.variance()};
    auto data = views.data();
    if (clip == Clip::kDynamic) {
      Shape shape(static_cast<size_t>(x_t.dim()), 1);
      shape[0] = x_t.size(0);
      const auto bound = at::quantile(data.flatten(1).abs(), percentile, 1).clamp_min(1).reshape(shape);
      data = at::minimum(at::maximum(data, -bound), bound) / bound;
    } else {
      data = data.clamp(-1, 1);
    }
    const auto time = at::full({1}, t, x_t.options());
    return {flow::velocity_from_data(data, x_t, time, denoiser.sigma_min()), views.variance()};
  };
  return Denoiser(std::move(answer), sigma_min);
}

}  // namespace sdg::sample
