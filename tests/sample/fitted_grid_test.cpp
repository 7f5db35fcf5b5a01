#include "sdg/sample/fitted_grid.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sample/gaussian_flow.h"
#include "sdg/core/error.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

// The flow of a narrow Gaussian bends most near its end.
sample::Denoiser narrow() {
  return test::gaussian_flow(0.7, 0.05);
}

Tensor starts() {
  return at::linspace(-2, 2, 41, at::kDouble).unsqueeze(1);
}

double error_on(const std::vector<double>& grid) {
  const auto end = sample::run({}, narrow(), starts(), grid);
  return (end - (0.7 + 0.05 * starts())).square().mean().sqrt().item<double>();
}

}  // namespace

TEST(MeasureBend, IsTheRateAtWhichTheVelocityChanges) {
  const sample::Denoiser quadratic([](const Tensor& x, double t) { return at::full_like(x, 3 * t * t); });
  const auto bend = sample::measure_bend(quadratic, at::zeros({5}, at::kDouble), 10);
  ASSERT_EQ(bend.rates.size(), 10U);
  for (size_t i = 0; i + 1 < bend.rates.size(); ++i)
    EXPECT_NEAR(bend.rates[i], 6 * (bend.times[i] + bend.times[i + 1]) / 2, 1e-9) << i;
}

TEST(FittedGrid, IsUniformWhereTheVelocityBendsEvenly) {
  const auto grid = sample::fitted_grid({{0, 0.25, 1}, {2, 2}}, 4);
  const auto uniform = sample::uniform_grid(4);
  for (size_t i = 0; i < grid.size(); ++i) EXPECT_NEAR(grid[i], uniform[i], 1e-12);
}

// A rate four times as large is worth twice as many steps.
TEST(FittedGrid, IsAsDenseAsTheRootOfTheRate) {
  const auto grid = sample::fitted_grid({{0, 0.5, 1}, {1, 4}}, 3);
  EXPECT_NEAR(grid[1], 0.5, 1e-12);
  EXPECT_NEAR(grid[2], 0.75, 1e-12);
}

TEST(FittedGrid, StraightPathsGetEqualSteps) {
  const auto grid = sample::fitted_grid({{0, 0.5, 1}, {0, 0}}, 2);
  EXPECT_NEAR(grid[1], 0.5, 1e-12);
}

TEST(FittedGrid, HasLessErrorThanEqualStepsOnAFlowThatBends) {
  const auto bend = sample::measure_bend(narrow(), starts());
  for (const int64_t steps : {6, 10, 20}) {
    const auto grid = sample::fitted_grid(bend, steps);
    EXPECT_EQ(grid.size(), static_cast<size_t>(steps) + 1);
    EXPECT_NO_THROW(sample::check_grid(grid, "fitted"));
    EXPECT_LT(error_on(grid), 0.7 * error_on(sample::uniform_grid(steps))) << steps;
  }
}
