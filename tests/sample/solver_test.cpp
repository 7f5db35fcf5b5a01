#include "sdg/sample/solver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>

#include "sdg/core/error.h"

using namespace sdg;

namespace {
// dx/dt = x cos(3t) has x(t) = x(0) exp(sin(3t) / 3): depends on both x and t, so a wrong node or a wrong row lowers
// the order.
Tensor field(const Tensor& x, double t) {
  return x * std::cos(3 * t);
}
double exact(double start, double t) {
  return start * std::exp(std::sin(3 * t) / 3);
}

// The largest error on the way: at one single time the leading terms of the error can cancel.
double error_of(const std::string& solver, int64_t steps) {
  double worst = 0;
  const auto grid = sample::uniform_grid(steps);
  sample::integrate(solver, field, at::full({1}, 2.0, at::kDouble), grid, [&](int64_t step, const Tensor& x) {
    worst = std::max(worst, std::abs(x.item<double>() - exact(2.0, grid[step + 1])));
  });
  return worst;
}
}  // namespace

class FixedSolver : public testing::TestWithParam<std::pair<std::string, int>> {};

TEST_P(FixedSolver, ErrorFallsWithItsOrder) {
  const auto& [solver, order] = GetParam();
  const double slope = std::log2(error_of(solver, 64) / error_of(solver, 128));
  EXPECT_NEAR(slope, order, 0.12) << solver;
}

TEST_P(FixedSolver, EvaluatesTheVelocityAsOftenAsItSays) {
  const auto& solver = GetParam().first;
  int64_t calls = 0;
  sample::integrate(
      solver, [&](const Tensor& x, double) { return ++calls, x; }, at::ones({1}), sample::uniform_grid(7));
  EXPECT_EQ(calls, 7 * sample::evaluations_per_step(solver));
}

TEST_P(FixedSolver, TheReversedGridReturnsToTheStart) {
  const auto& [solver, order] = GetParam();
  const auto start = at::tensor({2.0, -1.0}, at::kDouble);
  const auto there = sample::integrate(solver, field, start, sample::uniform_grid(200));
  const auto back = sample::integrate(solver, field, there, sample::uniform_grid(200, 1, 0));
  EXPECT_LT((back - start).abs().max().item<double>(), 20 * std::pow(1.0 / 200, order));
  EXPECT_GT((there - start).abs().max().item<double>(), 0.01);
}

INSTANTIATE_TEST_SUITE_P(Methods, FixedSolver,
                         testing::Values(std::pair{"euler", 1}, std::pair{"midpoint", 2}, std::pair{"heun", 2},
                                         std::pair{"heun2", 2}, std::pair{"heun3", 3}, std::pair{"rk4", 4}),
                         [](const auto& test) { return test.param.first; });

// Values of a public implementation for dx/dt = -2x + sin 5t in ten steps (docs/math.md, "ODE solvers").
TEST(Integrate, MatchesPublishedTenStepResults) {
  const std::map<std::string, std::vector<double>> published = {
      {"euler", {.0400005, -.1210607, .1473747, -.0405301}},
      {"midpoint", {.0428602, -.1633119, .1803082, -.0602259}},
      {"heun2", {.0459677, -.1602043, .1834158, -.0571183}},
      {"heun3", {.0435787, -.1592654, .1788081, -.0578433}},
      {"rk4", {.0436299, -.1593795, .1789694, -.0578748}},
      {"dopri5", {.04361187, -.15939496, .17894976, -.05789154}}};
  for (const auto& [solver, expected] : published) {
    const auto end = sample::integrate(
        solver, [](const Tensor& x, double t) { return -2 * x + std::sin(5 * t); },
        at::tensor({1.0, -0.5, 2.0, 0.25}, at::kDouble), sample::uniform_grid(10));
    EXPECT_LT((end - at::tensor(expected, at::kDouble)).abs().max().item<double>(), solver == "dopri5" ? 2e-6 : 6e-8)
        << solver;
  }
}

TEST(Integrate, ReportsEachStateOnce) {
  for (const auto& solver : {"heun", "dopri5"}) {
    std::vector<int64_t> steps;
    Tensor last;
    const auto end = sample::integrate(solver, field, at::ones({2}, at::kDouble), sample::uniform_grid(3),
                                       [&](int64_t step, const Tensor& x) {
                                         steps.push_back(step);
                                         last = x;
                                       });
    EXPECT_THAT(steps, testing::ElementsAre(0, 1, 2));
    EXPECT_TRUE(at::equal(last, end));
  }
}

TEST(Integrate, KeepsTheStatesPrecisionWhenTheVelocityIsCoarser) {
  const auto end = sample::integrate(
      "heun", [](const Tensor& x, double) { return x.to(at::kBFloat16); }, at::ones({4}), sample::uniform_grid(2));
  EXPECT_EQ(end.scalar_type(), at::kFloat);
}

TEST(Integrate, NamesTheSolversItKnows) {
  try {
    sample::integrate("rk45", field, at::ones({1}), {0, 1});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "solver: expected one of euler, midpoint, heun, heun3, rk4, dopri5, got 'rk45'");
  }
  EXPECT_THROW(sample::evaluations_per_step("rk45"), UsageError);
}
