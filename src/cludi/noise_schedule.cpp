#include "sdg/cludi/noise_schedule.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sdg::cludi {
namespace {

constexpr double kLargestBeta = 0.999;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// abar at the share u of the levels, 0 <= u <= 1; only ratios of it count.
double alpha_bar_at(Schedule schedule, double u) {
  switch (schedule) {
    case Schedule::kSqrt:
      return 1 - std::sqrt(u + 1e-4);
    case Schedule::kCosine:
      return std::pow(std::cos((u + 0.008) / 1.008 * std::numbers::pi / 2), 2);
    default:
      return (sigmoid(3) - sigmoid(6 * u - 3)) / (sigmoid(3) - sigmoid(-3));
  }
}

Tensor rescaled(const Tensor& alpha_bar, double by) {
  return alpha_bar / (by - (by - 1) * alpha_bar);
}

// 0.0001 … 0.02 for a thousand levels, so much more each for fewer.
Tensor linear_betas(const NoiseOptions& options) {
  const double scale = 1000.0 / static_cast<double>(options.levels);
  const auto betas = at::linspace(scale * 1e-4, std::min(kLargestBeta, scale * 0.02), options.levels, at::kDouble);
  if (options.rescale == 1) return betas;
  const auto alpha_bar = rescaled((1 - betas).cumprod(0), options.rescale);
  const auto before = at::cat({at::ones({1}, at::kDouble), alpha_bar.slice(0, 0, -1)});
  return (1 - alpha_bar / before).clamp(0, kLargestBeta);
}

Tensor betas_of(const NoiseOptions& options) {
  if (options.schedule == Schedule::kLinear) return linear_betas(options);
  auto values = at::empty({options.levels + 1}, at::kDouble);
  auto* value = values.data_ptr<double>();
  for (int64_t i = 0; i <= options.levels; ++i)
    value[i] = alpha_bar_at(options.schedule, static_cast<double>(i) / static_cast<double>(options.levels));
  values = rescaled(values, options.rescale);
  return (1 - values.slice(0, 1) / values.slice(0, 0, -1)).clamp(0, kLargestBeta);
}

}  // namespace

NoiseSchedule::NoiseSchedule(const NoiseOptions& options, Predicts predicts)
    : betas_(betas_of(options)),
      alphas_cumprod_((1 - betas_).cumprod(0)),
      factor_(options.factor),
      cap_(options.weight_cap),
      predicts_(predicts) {}

Tensor NoiseSchedule::loss_weights() const {
  const auto snr = alphas_cumprod_ / (1 - alphas_cumprod_);
  const auto capped = snr.clamp_max(cap_);
  return predicts_ == Predicts::kVelocity ? capped / (snr + 1) : capped;
}

Tensor NoiseSchedule::at_levels(const Tensor& values, const Tensor& n, const Tensor& like) const {
  return values.index_select(0, n.cpu()).to(like.options()).reshape({-1, 1, 1});
}

Tensor NoiseSchedule::noised(const Tensor& z_0, const Tensor& noise, const Tensor& n) const {
  return at_levels(alphas_cumprod_.sqrt(), n, z_0) * z_0 +
         at_levels((1 - alphas_cumprod_).sqrt() * factor_, n, z_0) * noise;
}

Tensor NoiseSchedule::data_of(const Tensor& answer, const Tensor& z_n, const Tensor& n) const {
  if (predicts_ == Predicts::kData) return answer;
  return at_levels(alphas_cumprod_.sqrt(), n, z_n) * z_n - at_levels((1 - alphas_cumprod_).sqrt(), n, z_n) * answer;
}

double cosine_with_warmup(double base, double end, int64_t warmup, int64_t total, int64_t step) {
  if (step < warmup) return warmup > 1 ? base * static_cast<double>(step) / static_cast<double>(warmup - 1) : base;
  const double span = static_cast<double>(std::max<int64_t>(1, total - warmup));
  const double progress = std::min(1.0, static_cast<double>(step - warmup) / span);
  return end + 0.5 * (base - end) * (1 + std::cos(std::numbers::pi * progress));
}

}  // namespace sdg::cludi
