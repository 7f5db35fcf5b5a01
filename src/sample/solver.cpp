#include "sdg/sample/solver.h"

#include "sample/methods.h"
#include "sdg/sample/grid.h"

namespace sdg::sample {
namespace {

Method method_of(Solver solver) {
  switch (solver) {
    case Solver::kDopri5:
      return own_steps;
    case Solver::kAdamsBashforth:
      return adams_bashforth;
    case Solver::kEulerMaruyama:
      return euler_maruyama;
    case Solver::kEuler:
    case Solver::kMidpoint:
    case Solver::kHeun:
    case Solver::kHeun3:
    case Solver::kRk4:
      break;
  }
  return runge_kutta;
}

}  // namespace

Tensor run(const SampleOptions& options, const Denoiser& denoiser, Tensor x, const std::vector<double>& grid,
           const NoiseFn& noise, const StepFn& after_step) {
  check_grid(grid, config::name(options.solver));
  return method_of(options.solver)({options, denoiser, grid, noise, after_step}, std::move(x));
}

}  // namespace sdg::sample
