#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::sample {

/// velocity(x_t, t): x_t of any shape, t the time shared by the whole batch.
using VelocityFn = std::function<Tensor(const Tensor& x_t, double t)>;

/// Called after each step with its index (0-based) and the new state; may be empty.
using StepFn = std::function<void(int64_t step, const Tensor& x_t)>;

/// "euler", "midpoint", "heun" (= "heun2").
const std::vector<std::string>& solver_names();
/// Evaluations of the velocity per step.
int64_t evaluations_per_step(const std::string& solver);

/// steps + 1 times from 0 to 1, evenly spaced.
std::vector<double> uniform_grid(int64_t steps, double t_begin = 0, double t_end = 1);

/// Integrates dx/dt = velocity(x, t) along `grid` (at least two times, monotonic, either direction); returns the state at its end.
/// Throws UsageError for an unknown solver.
Tensor integrate(const std::string& solver, const VelocityFn& velocity, Tensor x, const std::vector<double>& grid,
                 const StepFn& after_step = {});

}  // namespace sdg::sample
