#include <cmath>

#include "sample/methods.h"
#include "sdg/core/error.h"
#include "sdg/sample/diffusion.h"

namespace sdg::sample {
namespace {

// Without noise, to the end of the grid.
Tensor last_step(const Walk& walk, const Tensor& x, const Views& views, double w, double dt) {
  switch (walk.options.last_step) {
    case LastStep::kTweedie:
      return views.data();
    case LastStep::kEuler:
      return at::add(x, views.velocity(), dt);
    case LastStep::kMean:
    case LastStep::kNone:
      break;
  }
  return at::add(x, at::add(views.velocity(), views.score(), w), dt);
}

}  // namespace

// x <- x + (v + w score) dt + sqrt(2 w dt) n, and the last step apart (SiT, transport/integrators.py).
Tensor euler_maruyama(const Walk& walk, Tensor x) {
  const auto& options = walk.options;
  SDG_CHECK(walk.noise, "euler_maruyama: needs noise");
  for (size_t i = 0; i < walk.steps(); ++i) {
    const double t = walk.grid[i], dt = walk.dt(i);
    SDG_CHECK(dt > 0, "euler_maruyama: the grid must rise from noise to data, got ", t, " then ", walk.grid[i + 1]);
    // The diffusion that has no value at t = 0 takes that of the step's end, which the step then just bears.
    const bool endless = options.diffusion == Diffusion::kSbdm && t <= 0;
    const double at = endless ? walk.grid[i + 1] : t;
    const double w = diffusion(options.diffusion, options.diffusion_norm, at, walk.denoiser.noise_share(at));
    const auto views = walk.denoiser.at(x, t);
    if (i + 1 == walk.steps() && options.last_step != LastStep::kNone) {
      x = last_step(walk, x, views, w, dt);
    } else {
      const auto drift = at::add(views.velocity(), views.score(), w);
      x = at::add(at::add(x, drift, dt), walk.noise(static_cast<int64_t>(i)), std::sqrt(2 * w * dt));
    }
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
