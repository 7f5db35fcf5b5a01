#include "sdg/flow/betas.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sdg/core/error.h"

namespace sdg::flow {
namespace {

Tensor squared_line(double first, double last) {
  return at::linspace(std::sqrt(first), std::sqrt(last), kSteps, at::kDouble).square();
}

Tensor cosine_betas() {
  constexpr double kOffset = 0.008, kLargest = 0.999;
  const auto u = at::arange(kSteps + 1, at::kDouble) / static_cast<double>(kSteps);
  const auto level = at::cos((u + kOffset) / (1 + kOffset) * (std::numbers::pi / 2)).square();
  return (1 - level.slice(0, 1) / level.slice(0, 0, kSteps)).clamp_max(kLargest);
}

}  // namespace

Tensor betas(flow::Path path) {
  switch (path) {
    case flow::Path::kLinear:
      return at::linspace(1e-4, 0.02, kSteps, at::kDouble);
    case flow::Path::kCosine:
      return cosine_betas();
    case flow::Path::kSqrtLinear:
      return squared_line(1e-4, 0.02);
    case flow::Path::kStableDiffusion:
      return squared_line(0.00085, 0.012);
    case flow::Path::kStraight:
    case flow::Path::kGvp:
    case flow::Path::kVp:
      break;
  }
  SDG_ASSERT(has_steps(path), "betas: this path has none");
  return {};
}

Tensor alphas_cumprod(flow::Path path) {
  return (1 - betas(path)).cumprod(0);
}

double first_step(flow::Path path) {
  return path == flow::Path::kStableDiffusion ? 1 : 0;
}

NoiseLevels::NoiseLevels(flow::Path path, const at::Device& device) {
  const auto abar = alphas_cumprod(path);
  const auto rising = (at::log1p(-abar) - at::log(abar)) / 2;  // [kSteps]
  highest_ = -rising[0].item<double>();
  lowest_ = -rising[kSteps - 1].item<double>();
  levels_ = rising.to(device);
}

Tensor NoiseLevels::step_of(const Tensor& log_ratio) const {
  const auto wanted = (-log_ratio.to(at::kDouble)).clamp(-highest_, -lowest_);
  const auto left = (at::searchsorted(levels_, wanted, false, /*right=*/true) - 1).clamp(0, kSteps - 2);
  const auto low = levels_.index_select(0, left), high = levels_.index_select(0, left + 1);
  return left.to(at::kDouble) + (wanted - low) / (high - low);
}

double NoiseLevels::log_ratio(double n) const {
  const auto left = std::min<int64_t>(kSteps - 2, static_cast<int64_t>(n));
  const double low = -levels_[left].item<double>(), high = -levels_[left + 1].item<double>();
  return low + (n - static_cast<double>(left)) * (high - low);
}

}  // namespace sdg::flow
