#include <cmath>

#include "sample/sde.h"

namespace sdg::sample {

// The noise of the step first, then Heun's step of the drift (SiT, transport/integrators.py): of order 2 where the
// diffusion is 0, of weak order 1 elsewhere, with a smaller constant than euler_maruyama's.
Tensor stochastic_heun(const Walk& walk, Tensor x) {
  check_stochastic(walk);
  const Sde sde{walk};
  for (size_t i = 0; i < walk.steps(); ++i) {
    if (sde.is_last(i)) {
      x = sde.last_step(i, x);
    } else {
      const double t = walk.grid[i], next = walk.grid[i + 1], dt = walk.dt(i), w = sde.w(i);
      x = at::add(x, walk.noise(static_cast<int64_t>(i)), std::sqrt(2 * w * dt));
      const auto first = Sde::drift(walk.denoiser.at(x, t), w);
      const auto second = Sde::drift(walk.denoiser.at(at::add(x, first, dt), next), sde.w_at(next, next));
      x = at::add(x, first + second, dt / 2);
    }
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
