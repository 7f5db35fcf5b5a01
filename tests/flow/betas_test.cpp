#include "sdg/flow/betas.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"

using namespace sdg;
using flow::Path;

namespace {

double at_step(const Tensor& values, int64_t n) {
  return values[n].item<double>();
}

// Our t of the step n on the straight path without a rest of noise: r / (1 + r).
double straight_time(Path path, int64_t n) {
  const double abar = at_step(flow::alphas_cumprod(path), n), ratio = std::sqrt(abar / (1 - abar));
  return ratio / (1 + ratio);
}

}  // namespace

// Printed by guided-diffusion 22e0df8 and self-guided-diffusion-models be8f452.
TEST(Betas, GiveThePublicNoiseLevels) {
  const auto linear = flow::alphas_cumprod(Path::kLinear);
  EXPECT_NEAR(at_step(linear, 0), .9999, 1e-12);
  EXPECT_NEAR(at_step(linear, 1), .99978009, 1e-8);
  EXPECT_NEAR(at_step(linear, 499), .07858724, 1e-8);
  EXPECT_NEAR(at_step(linear, 998), 4.11819e-5, 1e-10);
  EXPECT_NEAR(at_step(linear, 999), 4.03583e-5, 1e-10);
  const auto cosine = flow::alphas_cumprod(Path::kCosine);
  EXPECT_NEAR(at_step(cosine, 0), .99995872, 1e-8);
  EXPECT_NEAR(at_step(cosine, 500), .49228517, 1e-8);
  EXPECT_NEAR(at_step(cosine, 998), 2.42877e-6, 1e-11);
  EXPECT_NEAR(at_step(cosine, 999), 2.42877e-9, 1e-14);
  const auto sqrt_linear = flow::alphas_cumprod(Path::kSqrtLinear);
  EXPECT_NEAR(at_step(sqrt_linear, 1), .99979736, 1e-8);
  EXPECT_NEAR(at_step(sqrt_linear, 500), .33127458, 1e-8);
  EXPECT_NEAR(at_step(sqrt_linear, 999), 7.3341e-4, 1e-8);
  EXPECT_THROW(flow::betas(Path::kStraight), Error);
}

// Where the steps of public models lie on our path: docs/math.md, "Noise levels by steps".
TEST(Betas, StepsLieWhereThePageSays) {
  const std::vector<std::pair<int64_t, double>> places{
      {0, .9901}, {30, .90}, {50, .85}, {73, .80}, {100, .745}, {250, .5107}, {500, .2251}, {750, .0544}, {999, .0063}};
  for (const auto& [n, t] : places) EXPECT_NEAR(straight_time(Path::kLinear, n), t, 6e-3) << n;
  EXPECT_NEAR(straight_time(Path::kStableDiffusion, 32), .85, 6e-3);
}

TEST(NoiseLevels, FindEveryStepAgainAndLieBetweenNeighbours) {
  for (const auto path : {Path::kLinear, Path::kCosine, Path::kSqrtLinear, Path::kStableDiffusion}) {
    const flow::NoiseLevels levels(path);
    const auto abar = flow::alphas_cumprod(path);
    const auto ratios = (at::log(abar) - at::log1p(-abar)) / 2;
    EXPECT_LT((levels.step_of(ratios) - at::arange(1000)).abs().max().item<double>(), 1e-6);
    const auto quarter = ratios.slice(0, 0, 999) * 0.75 + ratios.slice(0, 1, 1000) * 0.25;
    EXPECT_LT((levels.step_of(quarter) - at::arange(999) - 0.25).abs().max().item<double>(), 1e-6);
    const auto beyond = levels.step_of(at::tensor({-50.0, 50.0}, at::kDouble));
    EXPECT_EQ(beyond[0].item<double>(), 999);
    EXPECT_EQ(beyond[1].item<double>(), 0);
  }
}
