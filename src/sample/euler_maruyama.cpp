#include <cmath>

#include "sample/sde.h"

namespace sdg::sample {

// x <- x + (v + w score) dt + sqrt(2 w dt) n (SiT, transport/integrators.py).
Tensor euler_maruyama(const Walk& walk, Tensor x) {
  return along_sde(walk, std::move(x), [&](const Sde& sde, size_t i, const Tensor& x_t) {
    const double dt = walk.dt(i), w = sde.w(i);
    const auto drift = Sde::drift(walk.denoiser.at(x_t, walk.grid[i]), w);
    return at::add(at::add(x_t, drift, dt), walk.noise(static_cast<int64_t>(i)), std::sqrt(2 * w * dt));
  });
}

}  // namespace sdg::sample
