#include "sdg/sample/solver.h"

#include "sample/methods.h"
#include "sdg/core/error.h"
#include "sdg/sample/grid.h"

namespace sdg::sample {
namespace {

Method method_of(Solver solver) {
  switch (solver) {
    case Solver::kDopri5:
    case Solver::kDopri5Each:
      return own_steps;
    case Solver::kAdamsBashforth:
      return adams_bashforth;
    case Solver::kDpmpp2m:
      return dpmpp_2m;
    case Solver::kUnipc:
      return unipc;
    case Solver::kEulerMaruyama:
      return euler_maruyama;
    case Solver::kStochasticHeun:
      return stochastic_heun;
    case Solver::kDdim:
      return ddim;
    case Solver::kDdpm:
      return ddpm;
    case Solver::kEdm:
      return edm;
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
  SDG_CHECK(options.solver != Solver::kDopri5Each || x.size(0) == 1, "dopri5_each: walks one image at a time, got ",
            x.size(0));
  return method_of(options.solver)({options, denoiser, grid, noise, after_step}, std::move(x));
}

}  // namespace sdg::sample
