#include "sample/methods.h"

namespace sdg::sample {

// Order 2 for steps of any length: the line through the last two velocities, integrated over the step. The first step
// is Euler's, which one error of its order does not spoil.
Tensor adams_bashforth(const Walk& walk, Tensor x) {
  Tensor before;
  for (size_t i = 0; i < walk.steps(); ++i) {
    const double dt = walk.dt(i);
    const auto v = walk.denoiser.velocity(x, walk.grid[i]);
    if (before.defined()) {
      const double half = dt / walk.dt(i - 1) / 2;
      x = at::add(at::add(x, v, dt * (1 + half)), before, -dt * half);
    } else {
      x = at::add(x, v, dt);
    }
    before = v;
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
