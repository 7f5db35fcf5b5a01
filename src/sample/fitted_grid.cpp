#include "sdg/sample/fitted_grid.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sdg/core/error.h"
#include "sdg/sample/grid.h"

namespace sdg::sample {

Bend measure_bend(const Denoiser& denoiser, Tensor x, int64_t steps) {
  Bend bend{uniform_grid(steps), {}};
  Tensor before;
  for (int64_t i = 0; i <= steps; ++i) {
    // Just before the end: there a network need not be told of times without noise.
    const double t = i < steps ? bend.times[i] : 1 - 0.25 / static_cast<double>(steps);
    const double dt = bend.times[std::min(i + 1, steps)] - bend.times[i];
    const auto v = denoiser.velocity(x, t);
    if (before.defined()) {
      const double passed = t - bend.times[i - 1];
      bend.rates.push_back((v - before).square().mean().sqrt().item<double>() / passed);
    }
    before = v;
    if (i < steps) x = at::add(x, v, i + 1 < steps ? dt : 0.75 * dt);
  }
  return bend;
}

std::vector<double> fitted_grid(const Bend& bend, int64_t steps) {
  SDG_CHECK(steps >= 1, "fitted grid: steps must be at least 1, got ", steps);
  const auto n = bend.rates.size();
  const double least = 0.1 * std::accumulate(bend.rates.begin(), bend.rates.end(), 0.0) / static_cast<double>(n);
  SDG_CHECK(std::isfinite(least), "fitted grid: the velocity is not finite");
  std::vector<double> passed{0};  // integral of the density
  for (size_t i = 0; i < n; ++i) {
    const double density = least > 0 ? std::sqrt(std::max(bend.rates[i], least)) : 1;
    passed.push_back(passed.back() + density * (bend.times[i + 1] - bend.times[i]));
  }
  std::vector<double> grid{bend.times.front()};
  size_t i = 0;
  for (int64_t k = 1; k < steps; ++k) {
    const double wanted = passed.back() * static_cast<double>(k) / static_cast<double>(steps);
    while (passed[i + 1] < wanted) ++i;
    const double share = (wanted - passed[i]) / (passed[i + 1] - passed[i]);
    grid.push_back(bend.times[i] + share * (bend.times[i + 1] - bend.times[i]));
  }
  grid.push_back(bend.times.back());
  return grid;
}

}  // namespace sdg::sample
