#pragma once
#include <limits>
#include <string>
#include <vector>

#include "sdg/sample/denoiser.h"

namespace sdg::sample {

struct AdaptiveOptions {
  std::string solver = "dopri5";  ///< or "bosh3", "adaptive_heun"
  double rtol = 1e-5;
  double atol = 1e-5;
  double first_step = 0;  ///< 0: chosen from the field (one more evaluation)
  double max_step = std::numeric_limits<double>::infinity();
  int64_t max_steps =
      100000;  ///< tried steps; more is an Error: the field is too stiff for the tolerance, or not finite
};

/// One tried step; dt has the sign of the direction.
struct AdaptiveStep {
  double t, dt;
  double error;  ///< rms error over tolerance: accepted up to 1
  bool accepted;
};

struct AdaptiveResult {
  std::vector<Tensor> states;  ///< at each of `times`; the first is the start
  int64_t evaluations = 0;
  std::vector<AdaptiveStep> steps;
};

/// Embedded Runge-Kutta with step-size control and dense output, step for step as torchdiffeq does it (docs/math.md,
/// "ODE solvers"), which sgfm and SiT sample with. The whole tensor is one system: the error is a mean over the batch,
/// so the batch's composition changes the steps. Steps are not cut at the last time, states between steps are
/// interpolated: the field is evaluated a little beyond the end.
AdaptiveResult integrate_adaptive(const VelocityFn& velocity, const Tensor& x, const std::vector<double>& times,
                                  const AdaptiveOptions& options = {});

}  // namespace sdg::sample
