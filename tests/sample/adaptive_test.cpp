#include "sdg/sample/adaptive.h"
#include "sdg/sample/grid.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <string>

#include "sdg/core/error.h"

using namespace sdg;

namespace {
Tensor field(const Tensor& x, double t) {
  return x * std::cos(3 * t);
}
Tensor exact(const Tensor& start, double t) {
  return start * std::exp(std::sin(3 * t) / 3);
}
Tensor start() {
  return at::tensor({2.0, -1.0, 0.3}, at::kDouble);
}
}  // namespace

// Each step may err by atol + rtol |x| in the RMS of the three components, and the field lets an error grow by 1.4.
// bosh3 comes closest to that: like the public code it reads the end from a quartic whose middle is of low order.
TEST(IntegrateAdaptive, TheErrorStaysWithinWhatTheStepsWereAllowed) {
  for (const std::string solver : {"dopri5", "bosh3", "adaptive_heun"}) {
    double before = 1;
    for (double tolerance : {1e-3, 1e-5, 1e-7}) {
      const sample::AdaptiveOptions options{.solver = solver, .rtol = tolerance, .atol = tolerance};
      const auto result = sample::integrate_adaptive(field, start(), {0, 1}, options);
      const double error = (result.states.back() - exact(start(), 1)).abs().max().item<double>();
      const double allowed = tolerance * (1 + 2 * std::exp(1.0 / 3)) * std::sqrt(3.0) * 1.4;
      EXPECT_LT(error, allowed * static_cast<double>(result.steps.size())) << solver << ' ' << tolerance;
      EXPECT_LT(error, before / 5) << solver << ' ' << tolerance;
      before = error;
    }
  }
}

TEST(IntegrateAdaptive, StatesBetweenStepsStayNearTheSolution) {
  const auto times = sample::uniform_grid(37);
  const auto result = sample::integrate_adaptive(field, start(), times, {.rtol = 1e-7, .atol = 1e-7});
  ASSERT_EQ(result.states.size(), times.size());
  EXPECT_LT(result.steps.size(), times.size()) << "no state fell between steps: the test tests nothing";
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_LT((result.states[i] - exact(start(), times[i])).abs().max().item<double>(), 1e-5) << times[i];
  }
}

TEST(IntegrateAdaptive, BackwardReturnsToTheStart) {
  const auto there = sample::integrate_adaptive(field, start(), {0, 1}).states.back();
  const auto back = sample::integrate_adaptive(field, there, {1, 0});
  EXPECT_LT((back.states.back() - start()).abs().max().item<double>(), 1e-4);
  EXPECT_LT(back.steps.front().dt, 0);
}

// Accepted steps and number of evaluations of the public implementation (docs/math.md, "ODE solvers").
TEST(IntegrateAdaptive, TakesThePublishedSteps) {
  const auto result = sample::integrate_adaptive([](const Tensor& x, double t) { return -2 * x + std::sin(5 * t); },
                                                 at::tensor({1.0, -0.5, 2.0, 0.25}, at::kDouble), {0, 1});
  EXPECT_EQ(result.evaluations, 38);
  const std::vector<double> accepted = {.0300755, .2276586, .2276586, .2276586, .2506297, .2506297};
  ASSERT_EQ(result.steps.size(), accepted.size());
  for (size_t i = 0; i < accepted.size(); ++i) EXPECT_NEAR(result.steps[i].dt, accepted[i], 1e-7);
}

TEST(IntegrateAdaptive, StopsWithAReasonWhereItCannotGoOn) {
  EXPECT_THROW(
      sample::integrate_adaptive([](const Tensor& x, double t) { return x * std::sqrt(0.5 - t); }, start(), {0, 1}),
      Error);
  EXPECT_THROW(sample::integrate_adaptive(field, start(), {0, 1}, {.rtol = 1e-9, .atol = 1e-9, .max_steps = 3}), Error);
  EXPECT_THROW(sample::integrate_adaptive(field, start(), {0, 1}, {.solver = "euler"}), UsageError);
}
