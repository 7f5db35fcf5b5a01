#include "sample/sde.h"

#include "sdg/core/error.h"
#include "sdg/sample/diffusion.h"

namespace sdg::sample {

double Sde::w_at(double t, double instead) const {
  const auto& options = walk.options;
  const double time = options.diffusion == Diffusion::kSbdm && t <= 0 ? instead : t;
  return diffusion(options.diffusion, options.diffusion_norm, time, walk.denoiser.noise_share(time));
}

Tensor Sde::last_step(size_t i, const Tensor& x) const {
  const auto views = walk.denoiser.at(x, walk.grid[i]);
  const double dt = walk.dt(i);
  switch (walk.options.last_step) {
    case LastStep::kTweedie:
      return views.data();
    case LastStep::kEuler:
      return at::add(x, views.velocity(), dt);
    case LastStep::kMean:
    case LastStep::kNone:
      break;
  }
  return at::add(x, drift(views, w(i)), dt);
}

namespace {

void check_stochastic(const Walk& walk) {
  const auto who = config::name(walk.options.solver);
  SDG_CHECK(walk.noise, who, ": needs noise");
  SDG_CHECK(walk.grid[1] > walk.grid[0], who, ": the grid must rise from noise to data, got ", walk.grid[0], " then ",
            walk.grid[1]);
}

}  // namespace

Tensor along_sde(const Walk& walk, Tensor x,
                 const std::function<Tensor(const Sde& sde, size_t i, const Tensor& x)>& step) {
  check_stochastic(walk);
  const Sde sde{walk};
  for (size_t i = 0; i < walk.steps(); ++i) {
    x = sde.is_last(i) ? sde.last_step(i, x) : step(sde, i, x);
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
