#pragma once
#include <cstdint>

/// Averages of weights whose profile over training is a power of time (Karras et al., arXiv 2312.02696, section 3.1):
/// after t steps the weights of step tau count as tau^gamma. What such an average remembers grows with training, so it
/// is named by its width relative to t, the standard deviation of the profile over t.
namespace sdg::average {

/// The width of gamma = 0, which counts all steps alike: 1 / sqrt(12).
inline constexpr double kWidest = 0.28867513459481287;

/// sigma_rel = sqrt(gamma + 1) / ((gamma + 2) sqrt(gamma + 3)), for gamma >= 0.
double width_of(double gamma);

/// Its inverse, the largest real root of gamma^3 + 7 gamma^2 + (16 - sigma^-2) gamma + 12 - sigma^-2. Throws Error for
/// a width outside (0, kWidest].
double gamma_of(double width);

/// Share of itself that the average keeps at step n, counted from 1: (1 - 1/n)^(gamma + 1). 0 at the first.
double kept_share(double gamma, int64_t step);

/// An average's profile at `time` steps, as a density over [0, time].
struct Profile {
  double gamma = 0;
  double time = 0;
};

/// Integral of the product of two profiles: (gamma_a + 1) (gamma_b + 1) (t_a / t_b)^e / ((gamma_a + gamma_b + 1)
/// max(t_a, t_b)), e = gamma_b where t_a < t_b, else -gamma_a (appendix C).
double inner(const Profile& a, const Profile& b);

}  // namespace sdg::average
