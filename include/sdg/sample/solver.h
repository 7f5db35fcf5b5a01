#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/sample/grid.h"

namespace sdg::sample {

/// velocity(x_t, t): x_t of any shape, t the time shared by the whole batch.
using VelocityFn = std::function<Tensor(const Tensor& x_t, double t)>;

/// Called after each step with its index (0-based) and the new state; may be empty.
using StepFn = std::function<void(int64_t step, const Tensor& x_t)>;

/// "euler", "midpoint", "heun" (trapezoidal, order 2; "heun2" is accepted too), "heun3", "rk4" (Kutta's 3/8 rule) and
/// "dopri5", the only one that chooses its own steps (adaptive.h).
const std::vector<std::string>& solver_names();

/// Evaluations of the velocity per step; 0 for dopri5, where they depend on the field. Throws UsageError for an unknown
/// solver.
int64_t evaluations_per_step(const std::string& solver);

/// Integrates dx/dt = velocity(x, t) along `grid` (at least two times, strictly monotonic, either direction); returns
/// the state at its end. Gradients flow if grad mode is on. "dopri5" takes its own steps at rtol = atol = 1e-5 and
/// reports the states at the grid's times. Throws UsageError for an unknown solver, Error for a bad grid.
Tensor integrate(const std::string& solver, const VelocityFn& velocity, Tensor x, const std::vector<double>& grid,
                 const StepFn& after_step = {});

}  // namespace sdg::sample
