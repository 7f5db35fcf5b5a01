#pragma once
// How each solver walks the grid. A method is one function in a file of its own and one case in solver.cpp.
#include <vector>

#include "sdg/sample/options.h"
#include "sdg/sample/solver.h"

namespace sdg::sample {

/// What a method is given besides the state it begins with.
struct Walk {
  const SampleOptions& options;
  const Denoiser& denoiser;
  const std::vector<double>& grid;  ///< strictly monotonic, at least two times
  const NoiseFn& noise;             ///< set where the method asks for noise
  const StepFn& after_step;

  size_t steps() const { return grid.size() - 1; }
  /// Length of step i, negative where the grid falls.
  double dt(size_t i) const { return grid[i + 1] - grid[i]; }
  /// Reports the state after step i.
  void done(size_t i, const Tensor& x_t) const {
    if (after_step) after_step(static_cast<int64_t>(i), x_t);
  }
};

using Method = Tensor (*)(const Walk& walk, Tensor x);

Tensor runge_kutta(const Walk& walk, Tensor x);
Tensor own_steps(const Walk& walk, Tensor x);
Tensor adams_bashforth(const Walk& walk, Tensor x);
Tensor dpmpp_2m(const Walk& walk, Tensor x);
Tensor unipc(const Walk& walk, Tensor x);
Tensor euler_maruyama(const Walk& walk, Tensor x);
Tensor stochastic_heun(const Walk& walk, Tensor x);
Tensor ddim(const Walk& walk, Tensor x);
Tensor ddpm(const Walk& walk, Tensor x);
Tensor edm(const Walk& walk, Tensor x);

}  // namespace sdg::sample
