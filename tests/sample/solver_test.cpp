#include "sdg/sample/solver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/sample/grid.h"

using namespace sdg;
using sample::Denoiser;
using sample::Solver;

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
double error_of(Solver solver, int64_t steps) {
  double worst = 0;
  const auto grid = sample::uniform_grid(steps);
  const auto see = [&](int64_t step, const Tensor& x) {
    worst = std::max(worst, std::abs(x.item<double>() - exact(2.0, grid[step + 1])));
  };
  sample::run({.solver = solver}, Denoiser(field), at::full({1}, 2.0, at::kDouble), grid, {}, see);
  return worst;
}
}  // namespace

struct Case {
  Solver solver;
  int order;
  int64_t evaluations;  // a step
};

class FixedSolver : public testing::TestWithParam<Case> {};

TEST_P(FixedSolver, ErrorFallsWithItsOrder) {
  const auto& each = GetParam();
  const double slope = std::log2(error_of(each.solver, 64) / error_of(each.solver, 128));
  EXPECT_NEAR(slope, each.order, 0.12);
}

TEST_P(FixedSolver, EvaluatesTheVelocityAsOftenAsTheHelpSays) {
  int64_t calls = 0;
  const Denoiser counting([&](const Tensor& x, double) { return ++calls, x; });
  sample::run({.solver = GetParam().solver}, counting, at::ones({1}), sample::uniform_grid(7));
  EXPECT_EQ(calls, 7 * GetParam().evaluations);
}

TEST_P(FixedSolver, TheReversedGridReturnsToTheStart) {
  const sample::SampleOptions options{.solver = GetParam().solver};
  const auto start = at::tensor({2.0, -1.0}, at::kDouble);
  const auto there = sample::run(options, Denoiser(field), start, sample::uniform_grid(200));
  const auto back = sample::run(options, Denoiser(field), there, sample::uniform_grid(200, 1, 0));
  EXPECT_LT((back - start).abs().max().item<double>(), 20 * std::pow(1.0 / 200, GetParam().order));
  EXPECT_GT((there - start).abs().max().item<double>(), 0.01);
}

INSTANTIATE_TEST_SUITE_P(Methods, FixedSolver,
                         testing::Values(Case{Solver::kEuler, 1, 1}, Case{Solver::kMidpoint, 2, 2},
                                         Case{Solver::kHeun, 2, 2}, Case{Solver::kHeun3, 3, 3},
                                         Case{Solver::kRk4, 4, 4}, Case{Solver::kAdamsBashforth, 2, 1}),
                         [](const auto& test) { return std::string(config::name(test.param.solver)); });

// Values of a public implementation for dx/dt = -2x + sin 5t in ten steps (docs/math.md, "ODE solvers").
TEST(Run, MatchesPublishedTenStepResults) {
  const std::map<Solver, std::vector<double>> published = {
      {Solver::kEuler, {.0400005, -.1210607, .1473747, -.0405301}},
      {Solver::kMidpoint, {.0428602, -.1633119, .1803082, -.0602259}},
      {Solver::kHeun, {.0459677, -.1602043, .1834158, -.0571183}},
      {Solver::kHeun3, {.0435787, -.1592654, .1788081, -.0578433}},
      {Solver::kRk4, {.0436299, -.1593795, .1789694, -.0578748}},
      {Solver::kDopri5, {.04361187, -.15939496, .17894976, -.05789154}}};
  for (const auto& [solver, expected] : published) {
    const auto end =
        sample::run({.solver = solver}, Denoiser([](const Tensor& x, double t) { return -2 * x + std::sin(5 * t); }),
                    at::tensor({1.0, -0.5, 2.0, 0.25}, at::kDouble), sample::uniform_grid(10));
    EXPECT_LT((end - at::tensor(expected, at::kDouble)).abs().max().item<double>(),
              solver == Solver::kDopri5 ? 2e-6 : 6e-8)
        << config::name(solver);
  }
}

TEST(Run, ReportsEachStateOnce) {
  for (const auto solver : {Solver::kHeun, Solver::kDopri5, Solver::kAdamsBashforth}) {
    std::vector<int64_t> steps;
    Tensor last;
    const auto end = sample::run({.solver = solver}, Denoiser(field), at::ones({2}, at::kDouble),
                                 sample::uniform_grid(3), {}, [&](int64_t step, const Tensor& x) {
                                   steps.push_back(step);
                                   last = x;
                                 });
    EXPECT_THAT(steps, testing::ElementsAre(0, 1, 2));
    EXPECT_TRUE(at::equal(last, end));
  }
}

TEST(Run, KeepsTheStatesPrecisionWhenTheVelocityIsCoarser) {
  const Denoiser coarse([](const Tensor& x, double) { return x.to(at::kBFloat16); });
  for (const auto solver : {Solver::kHeun, Solver::kAdamsBashforth})
    EXPECT_EQ(sample::run({.solver = solver}, coarse, at::ones({4}), sample::uniform_grid(2)).scalar_type(),
              at::kFloat);
}

TEST(Run, RefusesAGridThatTurnsBack) {
  try {
    sample::run({}, Denoiser(field), at::ones({1}), {0, 0.5, 0.25});
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "euler: the grid must be strictly monotonic, got 0.5 then 0.25");
  }
}
