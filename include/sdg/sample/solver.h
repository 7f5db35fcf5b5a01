#pragma once
#include <functional>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/sample/denoiser.h"
#include "sdg/sample/options.h"

namespace sdg::sample {

/// The noise of one step, standard normal, like x_t. It should be a function of (seed, image, step), so that neither
/// batch nor restarts change an image.
using NoiseFn = std::function<Tensor(int64_t step)>;

/// Called after each step with its index (0-based) and the new state; may be empty.
using StepFn = std::function<void(int64_t step, const Tensor& x_t)>;

/// Walks from x at the first time of `grid` (at least two times, strictly monotonic) to the last by options.solver, and
/// returns the state there. The Runge-Kutta methods and kAdamsBashforth go in either direction, with gradients where
/// grad mode is on; so do the two dopri5, which take their own steps at options.rtol and atol and report the states at
/// the grid's times. kDopri5 steps the whole of x together; kDopri5Each takes one image [1, ...], whose steps are then
/// its own. The others need a grid that rises, and `noise` where adds_noise(options); under the SDE's solvers the last
/// interval of the grid is the last step. Throws Error for a bad grid.
Tensor run(const SampleOptions& options, const Denoiser& denoiser, Tensor x, const std::vector<double>& grid,
           const NoiseFn& noise = {}, const StepFn& after_step = {});

}  // namespace sdg::sample
