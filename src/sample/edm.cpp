#include <algorithm>
#include <cmath>

#include "sample/log_ratio.h"
#include "sdg/core/error.h"

namespace sdg::sample {

// Karras et al., arXiv 2206.00364, algorithm 2, in our x_t = t (x + s eps): their noise level s is sigma(t) / t, and
// their dx/ds is the predicted noise. Where s is infinite (t = 0) nothing is put back and the step is Euler's, as is
// the last one. Between two steps the noise that is put back moves the state towards the noise, to a time before t.
Tensor edm(const Walk& walk, Tensor x) {
  const auto& o = walk.options;
  check_rises(walk);
  SDG_CHECK(walk.noise || o.churn == 0, "edm: needs noise");
  const auto level = [&](double t) { return walk.denoiser.noise_share(t) / t; };
  const double most = std::min(o.churn / static_cast<double>(walk.steps()), std::sqrt(2.0) - 1);
  for (size_t i = 0; i < walk.steps(); ++i) {
    double t = walk.grid[i];
    const double next = walk.grid[i + 1];
    if (t == 0) {
      x = LogRatioStep(walk, i).first_order(x, walk.denoiser.at(x, t).data());
      walk.done(i, x);
      continue;
    }
    double s = level(t);
    auto state = x / t;  // x + s eps
    if (most > 0 && s >= o.churn_min && s <= o.churn_max) {
      const double raised = s * (1 + most);
      state = at::add(state, walk.noise(static_cast<int64_t>(i)), o.churn_noise * std::sqrt(raised * raised - s * s));
      s = raised;
      t = 1 / (s + 1 - walk.denoiser.sigma_min());  // sigma(t) / t = s
    }
    const auto slope = walk.denoiser.at(state * t, t).noise();
    const double step = level(next) - s;
    x = at::add(state, slope, step) * next;
    if (i + 1 < walk.steps()) {
      const auto there = walk.denoiser.at(x, next).noise();
      x = at::add(state, slope + there, step / 2) * next;
    }
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
