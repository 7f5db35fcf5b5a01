#include "sdg/average/profile.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"

namespace sdg::average {

double width_of(double gamma) {
  return std::sqrt(gamma + 1) / ((gamma + 2) * std::sqrt(gamma + 3));
}

double gamma_of(double width) {
  SDG_CHECK(width > 0 && width <= kWidest, "width of an average: expected above 0 and at most ", kWidest,
            ", which counts all steps alike, got ", width);
  // Beyond the largest root the cubic only rises, and bends upwards: Newton's method comes down to it from the right.
  const double c = 1 / (width * width);
  double gamma = 1 / width;  // there it is 6 / width^2 + 16 / width + 12
  for (int i = 0; i < 100; ++i) {
    const double value = ((gamma + 7) * gamma + 16 - c) * gamma + 12 - c;
    const double slope = (3 * gamma + 14) * gamma + 16 - c;
    const double next = gamma - value / slope;
    if (std::abs(next - gamma) <= 1e-15 * std::max(1.0, gamma)) break;
    gamma = next;
  }
  return std::max(gamma, 0.0);
}

double kept_share(double gamma, int64_t step) {
  return std::pow(1 - 1 / static_cast<double>(step), gamma + 1);
}

double inner(const Profile& a, const Profile& b) {
  const double exponent = a.time < b.time ? b.gamma : -a.gamma;
  return (a.gamma + 1) * (b.gamma + 1) * std::pow(a.time / b.time, exponent) /
         ((a.gamma + b.gamma + 1) * std::max(a.time, b.time));
}

}  // namespace sdg::average
