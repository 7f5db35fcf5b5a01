#include <cmath>

#include "sample/sde.h"

namespace sdg::sample {

// The noise of the step first, then Heun's step of the drift (SiT, transport/integrators.py): of order 2 where the
// diffusion is 0, of weak order 1 elsewhere, with a smaller constant than euler_maruyama's.
Tensor stochastic_heun(const Walk& walk, Tensor x) {
  return along_sde(walk, std::move(x), [&](const Sde& sde, size_t i, const Tensor& before) {
    const double t = walk.grid[i], next = walk.grid[i + 1], dt = walk.dt(i), w = sde.w(i);
    const auto x_t = at::add(before, walk.noise(static_cast<int64_t>(i)), std::sqrt(2 * w * dt));
    const auto first = Sde::drift(walk.denoiser.at(x_t, t), w);
    const auto second = Sde::drift(walk.denoiser.at(at::add(x_t, first, dt), next), sde.w_at(next, next));
    return at::add(x_t, first + second, dt / 2);
  });
}

}  // namespace sdg::sample
