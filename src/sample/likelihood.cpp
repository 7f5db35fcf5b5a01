#include "sdg/sample/likelihood.h"

#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "sdg/core/error.h"
#include "sdg/sample/solver.h"

namespace sdg::sample {
namespace {

struct Field {
  Tensor velocity;    // like x
  Tensor divergence;  // [N]
};

// sum over an image of gradient(sum of v w) w
Tensor along(const Tensor& v, const Tensor& x, const Tensor& direction) {
  const auto gradient = torch::autograd::grad({(v * direction).sum()}, {x}, {}, /*retain_graph=*/true)[0];
  return (gradient * direction).flatten(1).sum(1);
}

Field field_at(const Denoiser& denoiser, const Tensor& x_t, double t, const std::vector<Tensor>& probes) {
  const c10::AutoGradMode gradients(true);
  const auto x = x_t.detach().requires_grad_(true);
  const auto v = denoiser.velocity(x, t);
  Tensor divergence = at::zeros({x.size(0)}, x.options());
  if (!v.requires_grad()) return {v.detach(), divergence};  // a velocity that does not depend on x
  if (probes.empty()) {
    const auto flat = v.flatten(1);
    for (int64_t d = 0; d < flat.size(1); ++d) {
      const auto row = torch::autograd::grad({flat.select(1, d).sum()}, {x}, {}, /*retain_graph=*/true)[0];
      divergence = divergence + row.flatten(1).select(1, d);
    }
  } else {
    for (const auto& probe : probes) divergence = divergence + along(v, x, probe) / static_cast<double>(probes.size());
  }
  return {v.detach(), divergence.detach()};
}

}  // namespace

Likelihood log_likelihood(const SampleOptions& options, const Denoiser& denoiser, const Tensor& x,
                          const std::vector<double>& grid, const std::vector<Tensor>& probes) {
  SDG_CHECK_USAGE(goes_either_way(options.solver), "solver ", config::name(options.solver),
                  " goes only from noise to image; take heun, rk4 or dopri5");
  const auto images = x.size(0), numbers = x.numel() / images;
  // One state [N, D + 1]: the image and the integral of the divergence.
  const Denoiser augmented(
      [&](const Tensor& state, double t) -> Answer {
        const auto [v, divergence] = field_at(denoiser, state.narrow(1, 0, numbers).reshape(x.sizes()), t, probes);
        return at::cat({v.flatten(1), divergence.unsqueeze(1)}, 1);
      },
      denoiser.sigma_min());
  auto backwards = grid;
  std::reverse(backwards.begin(), backwards.end());
  const auto begin = at::cat({x.flatten(1), at::zeros({images, 1}, x.options())}, 1);
  const auto end = run(options, augmented, begin, backwards);
  const auto noise = end.narrow(1, 0, numbers);
  const auto normal = -0.5 * (noise.square().sum(1) + static_cast<double>(numbers) * std::log(2 * std::numbers::pi));
  // Walked backwards, the last number is minus the integral from 0 to 1.
  return {normal + end.select(1, numbers), noise.reshape(x.sizes())};
}

}  // namespace sdg::sample
