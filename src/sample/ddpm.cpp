#include <cmath>

#include "sample/log_ratio.h"
#include "sdg/core/error.h"

namespace sdg::sample {
namespace {

// A point of our path as one of DDPM's: z = x_t / norm with alpha_bar = (t / norm)^2 (flow/prediction_table.h).
struct Level {
  double t, share, norm, abar;
  Level(const Walk& walk, double time)
      : t(time), share(walk.denoiser.noise_share(time)), norm(std::hypot(t, share)), abar(t * t / (norm * norm)) {}
};

// The posterior variance of a step (the small one) and that of the forward process (the large one).
struct Variances {
  double small, large;
  Variances(const Level& from, const Level& to)
      : small((1 - to.abar) / (1 - from.abar) * (1 - from.abar / to.abar)), large(1 - from.abar / to.abar) {}
};

void check_noise(const Walk& walk, bool needed) {
  check_rises(walk);
  SDG_CHECK(walk.noise || !needed, config::name(walk.options.solver), ": needs noise");
}

}  // namespace

// Song et al., arXiv 2010.02502, equation 12, in our x_t = norm z.
Tensor ddim(const Walk& walk, Tensor x) {
  const double eta = walk.options.eta;
  check_noise(walk, eta > 0);
  for (size_t i = 0; i < walk.steps(); ++i) {
    const Level from(walk, walk.grid[i]), to(walk, walk.grid[i + 1]);
    const bool noisy = eta > 0 && i + 1 < walk.steps();
    const double added = noisy ? eta * std::sqrt(Variances(from, to).small) * to.norm : 0;
    const auto views = walk.denoiser.at(x, from.t);
    x = at::add(views.data() * to.t, views.noise(), std::sqrt(to.share * to.share - added * added));
    if (noisy) x = at::add(x, walk.noise(static_cast<int64_t>(i)), added);
    walk.done(i, x);
  }
  return x;
}

// Ho et al., 2020, equation 7; the learned variance of Nichol and Dhariwal, 2021, equation 15.
Tensor ddpm(const Walk& walk, Tensor x) {
  check_noise(walk, true);
  for (size_t i = 0; i < walk.steps(); ++i) {
    const Level from(walk, walk.grid[i]), to(walk, walk.grid[i + 1]);
    const Variances variance(from, to);
    const auto views = walk.denoiser.at(x, from.t);
    const double of_data = variance.large * std::sqrt(to.abar) / (1 - from.abar);
    const double of_state = (1 - to.abar) * std::sqrt(from.abar / to.abar) / (1 - from.abar);
    const auto mean = at::add(views.data() * (of_data * to.norm), x, of_state * to.norm / from.norm);
    if (i + 1 == walk.steps()) {
      x = mean;
    } else if (walk.options.variance == Variance::kLearned) {
      SDG_CHECK_USAGE(views.variance().defined(),
                      "variance learned: this network has learned none; take small or large");
      const auto large = (views.variance() + 1) / 2;
      const auto log_variance = large * std::log(variance.large) + (1 - large) * std::log(variance.small);
      x = mean + at::exp(log_variance / 2) * walk.noise(static_cast<int64_t>(i)) * to.norm;
    } else {
      const double chosen = walk.options.variance == Variance::kLarge ? variance.large : variance.small;
      x = at::add(mean, walk.noise(static_cast<int64_t>(i)), std::sqrt(chosen) * to.norm);
    }
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
