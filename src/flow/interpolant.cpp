#include "sdg/flow/interpolant.h"

#include <cmath>
#include <numbers>

#include "sdg/core/error.h"

namespace sdg::flow {
namespace {

constexpr double kBetaMin = 0.1, kBetaMax = 20, kHalfPi = std::numbers::pi / 2;

// The time with log(a / b) = l, where that is known in closed form.
double time_of(Interpolant path, double l) {
  switch (path) {
    case Interpolant::kLinear:
      return 1 / (1 + std::exp(-l));
    case Interpolant::kGvp:
      return std::atan(std::exp(l)) / kHalfPi;
    case Interpolant::kVp:
      break;
  }
  // log a = -log(1 + exp(-2 l)) / 2 is a parabola of u = 1 - t.
  const double log_a = -std::log1p(std::exp(-2 * l)) / 2, square = (kBetaMax - kBetaMin) / 4, line = kBetaMin / 2;
  return 1 - (-line + std::sqrt(line * line - 4 * square * log_a)) / (2 * square);
}

}  // namespace

Coefficients coefficients(Interpolant path, double t) {
  switch (path) {
    case Interpolant::kLinear:
      break;
    case Interpolant::kGvp:
      return {t, std::sin(kHalfPi * t), std::cos(kHalfPi * t), kHalfPi * std::cos(kHalfPi * t),
              -kHalfPi * std::sin(kHalfPi * t)};
    case Interpolant::kVp: {
      const double u = 1 - t;
      const double a = std::exp(-u * u * (kBetaMax - kBetaMin) / 4 - u * kBetaMin / 2);
      const double b = std::sqrt(1 - a * a), da = a * (u * (kBetaMax - kBetaMin) / 2 + kBetaMin / 2);
      return {t, a, b, da, -a * da / b};
    }
  }
  return {t, t, 1 - t, 1, -1};
}

Predictions convert(Target target, const Tensor& value, const Tensor& x_t, const Coefficients& at) {
  const auto [t, a, b, da, db] = at;
  Predictions out;
  switch (target) {
    case Target::kNoise:
      out.noise = value;
      out.data = (x_t - b * value) / a;
      break;
    case Target::kData:
      out.data = value;
      out.noise = (x_t - a * value) / b;
      break;
    case Target::kScore:
      out.noise = -b * value;
      out.data = (x_t + b * b * value) / a;
      break;
    case Target::kVelocity: {  // x_t = a x + b eps and v = da x + db eps, solved for both
      const double determinant = a * db - b * da;
      out.data = (db * x_t - b * value) / determinant;
      out.noise = (a * value - da * x_t) / determinant;
      break;
    }
  }
  out.velocity = target == Target::kVelocity ? value : da * out.data + db * out.noise;
  out.score = target == Target::kScore ? value : -out.noise / b;
  return out;
}

Tensor times_of(Interpolant path, const Tensor& log_ratio) {
  SDG_CHECK(path != Interpolant::kLinear, "times_of: of gvp and vp only");
  if (path == Interpolant::kGvp) return at::atan(at::exp(log_ratio)) / kHalfPi;
  const auto log_a = at::log1p(at::exp(-2 * log_ratio)) / -2;
  const double square = (kBetaMax - kBetaMin) / 4, line = kBetaMin / 2;
  return 1 - (at::sqrt(line * line - 4 * square * log_a) - line) / (2 * square);
}

Shares shares_at(Interpolant path, const Tensor& t) {
  SDG_CHECK(path != Interpolant::kLinear, "shares_at: of gvp and vp only");
  if (path == Interpolant::kGvp) return {at::sin(kHalfPi * t), at::cos(kHalfPi * t), at::full_like(t, kHalfPi)};
  const auto u = 1 - t;
  const auto log_a = -u * (u * ((kBetaMax - kBetaMin) / 4) + kBetaMin / 2);
  const auto a = at::exp(log_a), b = at::sqrt(-at::expm1(2 * log_a));
  return {a, b, a * (u * ((kBetaMax - kBetaMin) / 2) + kBetaMin / 2) / b};
}

Moved move(const Coefficients& from, Interpolant path) {
  const auto to = coefficients(path, time_of(path, std::log(from.a / from.b)));
  return {to, std::hypot(to.a, to.b) / std::hypot(from.a, from.b)};
}

}  // namespace sdg::flow
