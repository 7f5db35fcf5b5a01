#include "sdg/flow/loss_space.h"

#include <cmath>

namespace sdg::flow {
namespace {

// An error d of the data is an error a^of_data b^of_noise d of the other, signs aside.
struct Scale {
  int of_data, of_noise;
};

Scale scale_of(Target target) {
  switch (target) {
    case Target::kVelocity:
      return {0, -1};
    case Target::kNoise:
      return {1, -1};
    case Target::kData:
      return {0, 0};
    case Target::kScore:
      return {1, -2};
  }
  return {0, 0};
}

Target target_of(LossSpace space, Target predicted) {
  switch (space) {
    case LossSpace::kVelocity:
      return Target::kVelocity;
    case LossSpace::kNoise:
      return Target::kNoise;
    case LossSpace::kData:
    case LossSpace::kMinSnr:
      return Target::kData;
    case LossSpace::kPredicted:
      break;
  }
  return predicted == Target::kScore ? Target::kNoise : predicted;
}

// share^exponent, exponent -2 to 2; undefined stands for 1.
Tensor power(const Tensor& share, int exponent, double floor) {
  if (exponent == 0) return {};
  const auto base = exponent < 0 ? share.clamp_min(floor).reciprocal() : share;
  return std::abs(exponent) == 1 ? base : base.square();
}

// min(a^2 / b^2, cap) r^2, with r of the data; no quotient of shares is taken that could be large.
Tensor min_snr(Target predicted, const Tensor& a, const Tensor& b, double cap) {
  const auto signal = a.square(), noise = b.square();
  switch (predicted) {
    case Target::kVelocity:
      return at::minimum(signal, cap * noise);
    case Target::kNoise:
      return (cap * noise / signal).clamp_max(1);
    case Target::kData:
      return (signal / noise).clamp_max(cap);
    case Target::kScore:
      return (cap * noise / signal).clamp_max(1) * noise;
  }
  return {};
}

}  // namespace

Tensor loss_weight(Target predicted, LossSpace space, const Tensor& a, const Tensor& b, double floor, double cap) {
  if (space == LossSpace::kMinSnr) return min_snr(predicted, a.flatten(), b.flatten(), cap);
  const auto from = scale_of(predicted), to = scale_of(target_of(space, predicted));
  const auto of_data = power(a.flatten(), to.of_data - from.of_data, floor),
             of_noise = power(b.flatten(), to.of_noise - from.of_noise, floor);
  if (!of_data.defined() && !of_noise.defined()) return {};
  const auto ratio = !of_data.defined() ? of_noise : !of_noise.defined() ? of_data : of_data * of_noise;
  return ratio.square();
}

}  // namespace sdg::flow
