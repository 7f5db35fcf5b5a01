#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

double end_of(const sample::VelocityFn& velocity, double start, const std::vector<double>& grid) {
  return sample::run({.solver = sample::Solver::kAdamsBashforth}, sample::Denoiser(velocity),
                     at::full({1}, start, at::kDouble), grid)
      .item<double>();
}

}  // namespace

// dx/dt = -2 t has x = x_0 - t^2, which the line through two velocities meets exactly; what Euler's first step leaves
// is known: h_0^2.
TEST(AdamsBashforth, StepsOfAnyLengthFollowALinearVelocityExactly) {
  const std::vector<double> grid{0, 0.1, 0.15, 0.4, 0.45, 1};
  EXPECT_NEAR(end_of([](const Tensor& x, double t) { return at::full_like(x, -2 * t); }, 3, grid), 3 - 1 + 0.01, 1e-12);
}

// The flow of a Gaussian N(m, c^2) in closed form: x_1 = m + c x_0 (s = 0).
TEST(AdamsBashforth, ErrorFallsWithTheSquareOfTheStepOnAGaussiansFlow) {
  constexpr double kMean = 0.7, kStd = 0.3, kStart = -1.2;
  const auto velocity = [](const Tensor& x, double t) {
    const double variance = t * t * kStd * kStd + (1 - t) * (1 - t);
    return kMean + (t * kStd * kStd - (1 - t)) / variance * (x - t * kMean);
  };
  std::vector<double> errors;
  for (const int64_t steps : {40, 80, 160, 320})
    errors.push_back(std::abs(end_of(velocity, kStart, sample::uniform_grid(steps)) - (kMean + kStd * kStart)));
  for (size_t i = 1; i < errors.size(); ++i) EXPECT_NEAR(std::log2(errors[i - 1] / errors[i]), 2, 0.15) << i;
}
