#include <cmath>

#include "sample/sde.h"

namespace sdg::sample {

// x <- x + (v + w score) dt + sqrt(2 w dt) n, and the last step apart (SiT, transport/integrators.py).
Tensor euler_maruyama(const Walk& walk, Tensor x) {
  check_stochastic(walk);
  const Sde sde{walk};
  for (size_t i = 0; i < walk.steps(); ++i) {
    if (sde.is_last(i)) {
      x = sde.last_step(i, x);
    } else {
      const double dt = walk.dt(i), w = sde.w(i);
      const auto drift = Sde::drift(walk.denoiser.at(x, walk.grid[i]), w);
      x = at::add(at::add(x, drift, dt), walk.noise(static_cast<int64_t>(i)), std::sqrt(2 * w * dt));
    }
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
