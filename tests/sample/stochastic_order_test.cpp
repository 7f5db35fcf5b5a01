// Strong and weak order of the stochastic solvers on the SDE of a Gaussian's flow, whose drift is linear: the finest
// walk with the same Brownian motion is the judge of single paths, the moments of the exact marginals that of laws.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sample/gaussian_flow.h"
#include "sdg/core/rng.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"

using namespace sdg;
using sample::Solver;

namespace {

constexpr double kMean = 0.4, kStd = 0.5, kBegin = 0.1, kEnd = 0.9;
constexpr int64_t kFinest = 1024, kPaths = 2000;

double spread(double t) {
  return std::hypot(t * kStd, 1 - t);
}

// Standard normal increments of the finest grid, [kFinest, kPaths].
const Tensor& increments() {
  static const auto all =
      rng::normal({7, rng::Purpose::kTest, 0}, rng::consecutive(0, kFinest), {kPaths}).to(at::kDouble);
  return all;
}

Tensor walk(Solver solver, int64_t steps) {
  sample::SampleOptions options;
  options.solver = solver;
  options.last_step = sample::LastStep::kNone;
  const int64_t joined = kFinest / steps;
  const auto noise = increments().view({steps, joined, kPaths}).sum(1) / std::sqrt(static_cast<double>(joined));
  const auto x =
      kBegin * kMean +
      spread(kBegin) * rng::normal({8, rng::Purpose::kTest, 0}, rng::consecutive(0, kPaths), {}).to(at::kDouble);
  return sample::run(options, test::gaussian_flow(kMean, kStd), x, sample::uniform_grid(steps, kBegin, kEnd),
                     [&](int64_t step) { return noise[step]; });
}

// d var / dt = 2 a var + 2 w of a linear drift, followed step by step: the variance that Euler-Maruyama's law has.
double variance_after(int64_t steps) {
  double variance = spread(kBegin) * spread(kBegin);
  const auto grid = sample::uniform_grid(steps, kBegin, kEnd);
  for (int64_t i = 0; i < steps; ++i) {
    const double t = grid[i], dt = grid[i + 1] - t, w = 1 - t, s2 = spread(t) * spread(t);
    const double slope = (t * kStd * kStd - (1 - t)) / s2 - w / s2;  // velocity and score of a Gaussian
    variance = (1 + slope * dt) * (1 + slope * dt) * variance + 2 * w * dt;
  }
  return variance;
}

}  // namespace

// The diffusion does not depend on the state, so the strong order is 1.
TEST(StochasticSolvers, PathsConvergeWithOrderOne) {
  for (const auto solver : {Solver::kEulerMaruyama, Solver::kStochasticHeun}) {
    const auto finest = walk(Solver::kStochasticHeun, kFinest);
    std::vector<double> errors;
    for (const int64_t steps : {16, 32, 64})
      errors.push_back((walk(solver, steps) - finest).abs().mean().item<double>());
    for (size_t i = 1; i < errors.size(); ++i)
      EXPECT_NEAR(std::log2(errors[i - 1] / errors[i]), 1, 0.3) << config::name(solver) << i;
  }
}

// The law of a walk with a linear drift is Gaussian, and its variance is known without drawing.
TEST(StochasticSolvers, TheLawOfEulerMaruyamaConvergesWithOrderOneToTheExactOne) {
  const double exact = spread(kEnd) * spread(kEnd);
  std::vector<double> errors;
  for (const int64_t steps : {64, 128, 256}) errors.push_back(std::abs(variance_after(steps) - exact));
  for (size_t i = 1; i < errors.size(); ++i) EXPECT_NEAR(std::log2(errors[i - 1] / errors[i]), 1, 0.15) << i;
  const auto drawn = walk(Solver::kEulerMaruyama, 64);
  EXPECT_NEAR(drawn.var().item<double>(), variance_after(64), 4 * variance_after(64) * std::sqrt(2.0 / kPaths));
  EXPECT_NEAR(drawn.mean().item<double>(), kEnd * kMean, 4 * spread(kEnd) / std::sqrt(kPaths));
}
