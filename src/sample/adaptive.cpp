#include "sdg/sample/adaptive.h"

#include <algorithm>
#include <cmath>

#include "sample/tableau.h"
#include "sdg/core/error.h"
#include "sdg/sample/grid.h"

namespace sdg::sample {
namespace {

double rms(const Tensor& z) {
  return z.square().mean().sqrt().item<double>();
}

// Hairer, Norsett & Wanner, "Solving ordinary differential equations I", II.4.
double initial_step(const VelocityFn& velocity, const Tensor& x, const Tensor& f, double t, int order,
                    const AdaptiveOptions& options) {
  const auto scale = options.atol + x.abs() * options.rtol;
  const double d0 = rms(x / scale), d1 = rms(f / scale);
  const double h0 = d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : 0.01 * d0 / d1;
  const double d2 = rms((velocity(at::add(x, f, h0), t + h0) - f) / scale) / h0;
  const double h1 =
      d1 <= 1e-15 && d2 <= 1e-15 ? std::max(1e-6, h0 * 1e-3) : std::pow(0.01 / std::max(d1, d2), 1.0 / order);
  return std::min(100 * h0, h1);
}

double next_step(double dt, double error, int order) {
  constexpr double kSafety = 0.9, kGrowth = 10, kShrink = 0.2;
  if (error == 0) return dt * kGrowth;
  const double least = error < 1 ? 1 : kShrink;
  return dt * std::min(kGrowth, std::max(kSafety / std::pow(error, 1.0 / order), least));
}

// The quartic through the ends, their slopes and the middle of one step.
struct Interpolant {
  double t0 = 0, dt = 0;
  Tensor a, b, c, d, e;

  Interpolant(double t0_in, double dt_in, const Tensor& y0, const Tensor& y1, const Tensor& middle, const Tensor& f0,
              const Tensor& f1)
      : t0(t0_in),
        dt(dt_in),
        a(2 * dt * (f1 - f0) - 8 * (y1 + y0) + 16 * middle),
        b(dt * (5 * f0 - 3 * f1) + 18 * y0 + 14 * y1 - 32 * middle),
        c(dt * (f1 - 4 * f0) - 11 * y0 - 5 * y1 + 16 * middle),
        d(dt * f0),
        e(y0) {}

  Tensor at_time(double t) const {
    const double s = (t - t0) / dt;
    return (((a * s + b) * s + c) * s + d) * s + e;
  }
};

}  // namespace

AdaptiveResult integrate_adaptive(const VelocityFn& velocity, const Tensor& x, const std::vector<double>& times,
                                  const AdaptiveOptions& options) {
  const auto* table = find_tableau(adaptive_tableaus(), options.solver);
  SDG_CHECK_USAGE(table, "adaptive solver: expected one of dopri5, bosh3, adaptive_heun, got '", options.solver, "'");
  check_grid(times, "integrate_adaptive");

  // Backward integration is forward integration of the mirrored field: below, time s = sign * t always grows.
  const double sign = times[1] > times[0] ? 1 : -1;
  AdaptiveResult result;
  const VelocityFn field = [&](const Tensor& state, double s) {
    ++result.evaluations;
    const auto v = velocity(state, sign * s);
    return sign > 0 ? v : -v;
  };

  double s = sign * times.front();
  Tensor y = x;
  Tensor f = field(y, s);
  double dt = options.first_step > 0 ? options.first_step : initial_step(field, y, f, s, table->order, options);
  result.states.push_back(y);
  while (result.states.size() < times.size()) {
    SDG_CHECK(static_cast<int64_t>(result.steps.size()) < options.max_steps, "integrate_adaptive: no end after ",
              options.max_steps, " steps at t = ", sign * s, ": raise the tolerance or use a fixed-step solver");
    dt = std::min(dt, options.max_step);
    const auto k = stage_velocities(*table, field, y, s, dt, f);
    const auto y_next = combine(y, dt, table->weights, k);
    const auto difference = combine(at::zeros_like(y), dt, table->error, k);
    const auto allowed = options.atol + options.rtol * at::maximum(y.abs(), y_next.abs());
    const double error = rms(difference / allowed);
    SDG_CHECK(std::isfinite(error), "integrate_adaptive: the velocity is not finite near t = ", sign * s);

    const bool accepted = error <= 1;
    result.steps.push_back({sign * s, sign * dt, error, accepted});
    if (accepted) {
      const double end = s + dt;
      if (sign * times[result.states.size()] <= end) {
        const Interpolant between(s, dt, y, y_next, combine(y, dt, table->middle, k), k.front(), k.back());
        while (result.states.size() < times.size() && sign * times[result.states.size()] <= end) {
          result.states.push_back(between.at_time(sign * times[result.states.size()]));
        }
      }
      s = end;
      y = y_next;
      f = k.back();
    }
    dt = next_step(dt, error, table->order);
  }
  return result;
}

}  // namespace sdg::sample
