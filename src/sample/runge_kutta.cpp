#include "sample/methods.h"
#include "sample/tableau.h"
#include "sdg/core/error.h"
#include "sdg/sample/adaptive.h"

namespace sdg::sample {
namespace {

VelocityFn velocity_of(const Denoiser& denoiser) {
  return [&denoiser](const Tensor& x_t, double t) { return denoiser.velocity(x_t, t); };
}

}  // namespace

Tensor runge_kutta(const Walk& walk, Tensor x) {
  const auto name = std::string(config::name(walk.options.solver));
  const auto* table = find_tableau(fixed_tableaus(), name);
  SDG_CHECK(table, name, " is no Runge-Kutta method of fixed steps");
  const auto velocity = velocity_of(walk.denoiser);
  for (size_t i = 0; i < walk.steps(); ++i) {
    const double dt = walk.dt(i);
    x = combine(x, dt, table->weights, stage_velocities(*table, velocity, x, walk.grid[i], dt));
    walk.done(i, x);
  }
  return x;
}

// NOLINTNEXTLINE(performance-unnecessary-value-param): the form that all methods have
Tensor own_steps(const Walk& walk, Tensor x) {
  const auto result = integrate_adaptive(velocity_of(walk.denoiser), x, walk.grid,
                                         {.rtol = walk.options.rtol, .atol = walk.options.atol});
  for (size_t i = 0; i < walk.steps(); ++i) walk.done(i, result.states[i + 1]);
  return result.states.back();
}

}  // namespace sdg::sample
