#include "sdg/sample/likelihood.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <numbers>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

// Mixture of Gaussians N(m_k, c_k^2 I) in D dimensions; what is drawn at t = 1 is its sum with s eps.
struct Mixture {
  Tensor mean, spread, weight;  // [M, D], [M], [M]
  double sigma_min = 1e-4;

  Tensor log_parts(const Tensor& x, double t) const {  // [N, M]
    const double noise = 1 - (1 - sigma_min) * t;
    const auto variance = t * t * spread.square() + noise * noise;
    const auto distance = (x.unsqueeze(1) - t * mean).square().sum(2);
    return weight.log() - distance / (2 * variance) -
           0.5 * static_cast<double>(mean.size(1)) * (2 * std::numbers::pi * variance).log();
  }
  Tensor velocity(const Tensor& x, double t) const {
    const double noise = 1 - (1 - sigma_min) * t;
    const auto variance = t * t * spread.square() + noise * noise;
    const auto rate = (t * spread.square() - (1 - sigma_min) * noise) / variance;  // [M]
    const auto each = mean + rate.unsqueeze(1) * (x.unsqueeze(1) - t * mean);      // [N, M, D]
    return (log_parts(x, t).softmax(1).unsqueeze(2) * each).sum(1);
  }
  Tensor log_density(const Tensor& x) const { return log_parts(x, 1).logsumexp(1); }
};

Mixture mixture() {
  return {at::tensor({1.0, 0.5, -0.2, -1.0, 0.3, 0.8, 0.1, -0.9, 0.4}, at::kDouble).view({3, 3}),
          at::tensor({0.3, 0.5, 0.4}, at::kDouble), at::tensor({0.5, 0.2, 0.3}, at::kDouble)};
}

Tensor places() {
  return rng::normal({3, rng::Purpose::kTest, 0}, rng::consecutive(0, 40), {3}).to(at::kDouble);
}

sample::SampleOptions rk4() {
  sample::SampleOptions options;
  options.solver = sample::Solver::kRk4;
  return options;
}

}  // namespace

// In bits per dimension: 1e-3 of the closed form, which is the promise; the exact divergence does far better.
TEST(LogLikelihood, IsTheClosedFormOfAGaussianMixture) {
  const auto data = mixture();
  const sample::Denoiser network([&](const Tensor& x, double t) { return data.velocity(x, t); }, data.sigma_min);
  const auto x = places();
  for (const auto solver : {sample::Solver::kRk4, sample::Solver::kDopri5}) {
    auto options = rk4();
    options.solver = solver;
    options.rtol = options.atol = 1e-8;
    const auto found = sample::log_likelihood(options, network, x, sample::uniform_grid(200));
    const auto bits = (found.log_density - data.log_density(x)).abs() / (3 * std::numbers::ln2);
    EXPECT_LT(bits.max().item<double>(), 1e-3) << config::name(solver);
  }
}

TEST(LogLikelihood, HutchinsonsEstimateIsUnbiased) {
  const auto data = mixture();
  const sample::Denoiser network([&](const Tensor& x, double t) { return data.velocity(x, t); }, data.sigma_min);
  const auto x = places();
  std::vector<Tensor> probes;  // all eight signs: the mean over them is the exact divergence
  for (int64_t i = 0; i < 8; ++i)
    probes.push_back(
        at::tensor({i & 1 ? 1.0 : -1.0, i & 2 ? 1.0 : -1.0, i & 4 ? 1.0 : -1.0}, at::kDouble).expand_as(x));
  const auto grid = sample::uniform_grid(50);
  const auto exact = sample::log_likelihood(rk4(), network, x, grid).log_density;
  EXPECT_LT((sample::log_likelihood(rk4(), network, x, grid, probes).log_density - exact).abs().max().item<double>(),
            1e-9);
  EXPECT_GT(
      (sample::log_likelihood(rk4(), network, x, grid, {probes[1]}).log_density - exact).abs().max().item<double>(),
      1e-3);
}

TEST(LogLikelihood, EndsInTheNoiseThatLeadsBack) {
  const auto data = mixture();
  const sample::Denoiser network([&](const Tensor& x, double t) { return data.velocity(x, t); }, data.sigma_min);
  const auto x = places();
  const auto grid = sample::uniform_grid(200);
  const auto noise = sample::log_likelihood(rk4(), network, x, grid).noise;
  EXPECT_LT((sample::run(rk4(), network, noise, grid) - x).abs().max().item<double>(), 1e-4);
}

TEST(LogLikelihood, NeedsASolverThatGoesEitherWay) {
  auto options = rk4();
  options.solver = sample::Solver::kDpmpp2m;
  const sample::Denoiser network([](const Tensor& x, double) { return -x; });
  EXPECT_THROW(sample::log_likelihood(options, network, places(), {0, 1}), UsageError);
}
