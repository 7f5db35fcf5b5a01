#pragma once
#include <array>

#include "sdg/core/tensor.h"
#include "sdg/flow/prediction.h"

/// The continuous paths of SiT (arXiv 2401.08740, section 2), x_t = a(t) x + b(t) eps with t = 0 noise and t = 1 data,
/// and one table that turns what a network says on any of them into the velocity, noise, data and score there, and a
/// point of one path into the point of another with the same share of noise.
namespace sdg::flow {

enum class Interpolant {
  kLinear,  ///< a = t, b = 1 - t
  kGvp,     ///< a = sin(pi t / 2), b = cos(pi t / 2)
  kVp,      ///< log a = -(1 - t)^2 (20 - 0.1) / 4 - (1 - t) 0.1 / 2, b = sqrt(1 - a^2)
};
constexpr auto names_of(Interpolant) {
  return std::array{"linear", "gvp", "vp"};
}

/// a, b and their derivatives at one time.
struct Coefficients {
  double t = 0, a = 0, b = 0, da = 0, db = 0;

  /// w of the path's own diffusion, b^2 da / a - b db: with it v = (da / a) x_t + w score.
  double drift() const { return da / a; }
  double diffusion() const { return drift() * b * b - b * db; }
};
Coefficients coefficients(Interpolant path, double t);

/// All that one prediction says at x_t.
struct Predictions {
  Tensor velocity, noise, data, score;
};
/// `value` is the prediction of `target` at x_t. Target kVelocity is dx_t/dt = da x + db eps. Infinite where the table
/// divides by a share that is nothing: noise or score at a = 0, data or score at b = 0.
Predictions convert(Target target, const Tensor& value, const Tensor& x_t, const Coefficients& at);

/// The point of `to` with the ratio a / b of `from`: x_to = scale x_from at the time to.t.
struct Moved {
  Coefficients to;
  double scale;
};
Moved move(const Coefficients& from, Interpolant to);

/// kGvp and kVp keep a^2 + b^2 = 1, so that their velocity is rate (b x - a eps) with rate = da / b. Of many times at
/// once (float64, all of one shape): the time at which log(a / b) is that, and what stands there. The rate of kVp has
/// no bound at t = 1.
Tensor times_of(Interpolant path, const Tensor& log_ratio);
struct Shares {
  Tensor a, b, rate;
};
Shares shares_at(Interpolant path, const Tensor& t);

}  // namespace sdg::flow
