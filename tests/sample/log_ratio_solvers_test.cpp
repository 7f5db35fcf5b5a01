// Solvers in the logarithm of the signal-to-noise ratio, and DDIM and EDM's without their noise, on the flow of a
// Gaussian N(m, c^2), which is known in closed form: x_t = t m + sqrt(t^2 c^2 + sigma^2) x_0.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <map>

#include "sample/gaussian_flow.h"
#include "sdg/core/error.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"
#include "support/temporary_folder.h"

using namespace sdg;
using sample::Solver;

namespace {

constexpr double kMean = 0.7, kStd = 0.3, kStart = -1.2, kSigmaMin = 1e-4;

double spread(double t) {
  return std::hypot(t * kStd, 1 - (1 - kSigmaMin) * t);
}
double exact(double t) {
  return t * kMean + spread(t) * kStart;
}

sample::Denoiser gaussian(int64_t* calls = nullptr) {
  return sample::Denoiser(
      [calls](const Tensor& x, double t) {
        if (calls) ++*calls;
        const double slope = (t * kStd * kStd - (1 - kSigmaMin) * (1 - (1 - kSigmaMin) * t)) / (spread(t) * spread(t));
        return kMean + slope * (x - t * kMean);
      },
      kSigmaMin);
}

sample::SampleOptions plain(Solver solver) {
  sample::SampleOptions options;
  options.solver = solver;
  options.churn = 0;
  return options;
}

double error_at_the_end(Solver solver, const std::vector<double>& grid) {
  const auto end = sample::run(plain(solver), gaussian(), at::full({1}, kStart, at::kDouble), grid);
  return std::abs(end.item<double>() - exact(1));
}

struct Case {
  Solver solver;
  double order;
  double evaluations;  // a step
  int64_t fewer;       // at the ends
};

}  // namespace

class LogRatioSolver : public testing::TestWithParam<Case> {};

TEST_P(LogRatioSolver, ErrorFallsWithItsOrderOnAGaussiansFlow) {
  std::vector<double> errors;
  // Near t = 0 steps are long in l however short they are in t, which costs a factor of about log(steps).
  for (const int64_t steps : {320, 640, 1280})
    errors.push_back(error_at_the_end(GetParam().solver, sample::uniform_grid(steps)));
  for (size_t i = 1; i < errors.size(); ++i)
    EXPECT_NEAR(std::log2(errors[i - 1] / errors[i]), GetParam().order, 0.25) << i << ": " << errors[i];
  EXPECT_LT(errors.back(), 5e-3);
}

TEST_P(LogRatioSolver, EvaluatesTheNetworkAsOftenAsTheHelpSays) {
  int64_t calls = 0;
  sample::run(plain(GetParam().solver), gaussian(&calls), at::ones({1}, at::kDouble), sample::uniform_grid(7));
  EXPECT_EQ(calls, static_cast<int64_t>(7 * GetParam().evaluations) - GetParam().fewer);
}

TEST_P(LogRatioSolver, RefusesAGridThatFalls) {
  EXPECT_NE(test::message_of<Error>([&] {
              sample::run(plain(GetParam().solver), gaussian(), at::ones({1}), {1, 0.5, 0});
            }).find("must rise from noise to data"),
            std::string::npos);
}

// Data that are one point: the prediction of the data is exact and constant, and so is every one of these solvers.
TEST_P(LogRatioSolver, IsExactWhereTheDataIsOnePoint) {
  const sample::Denoiser point(
      [](const Tensor& x, double t) { return (0.7 - (1 - kSigmaMin) * x) / (1 - (1 - kSigmaMin) * t); }, kSigmaMin);
  const auto end =
      sample::run(plain(GetParam().solver), point, at::full({1}, kStart, at::kDouble), {0, 0.1, 0.15, 0.6, 1});
  EXPECT_NEAR(end.item<double>(), 0.7 + kSigmaMin * kStart, 1e-9);
}

// Euler's step is the step of order 1 of all of them.
TEST_P(LogRatioSolver, OneStepIsEulers) {
  const auto x = at::full({1}, kStart, at::kDouble);
  const auto euler = sample::run(plain(Solver::kEuler), gaussian(), x, {0, 1});
  EXPECT_NEAR(sample::run(plain(GetParam().solver), gaussian(), x, {0, 1}).item<double>(), euler.item<double>(), 1e-12);
}

INSTANTIATE_TEST_SUITE_P(Methods, LogRatioSolver,
                         testing::Values(Case{Solver::kDpmpp2m, 2, 1, 0}, Case{Solver::kUnipc, 2, 1, 0},
                                         Case{Solver::kDdim, 1, 1, 0}, Case{Solver::kEdm, 2, 2, 2}),
                         [](const auto& test) { return std::string(config::name(test.param.solver)); });

// In smooth parts of the way, with neither end's steps of order 1.
TEST(Unipc, IsOfOrderThreeBetweenTheEnds) {
  const auto error = [](Solver solver, int64_t steps) {
    const double begin = 0.2, end = 0.8;
    // The first and the last step are of order 1: so short that their errors do not count.
    auto grid = sample::uniform_grid(steps, begin, end);
    grid.insert(grid.begin() + 1, begin + 1e-5);
    grid.insert(grid.end() - 1, end - 1e-5);
    const auto x = at::full({1}, exact(begin), at::kDouble);
    return std::abs(sample::run(plain(solver), gaussian(), x, grid).item<double>() - exact(end));
  };
  EXPECT_NEAR(std::log2(error(Solver::kDpmpp2m, 40) / error(Solver::kDpmpp2m, 80)), 2, 0.3);
  EXPECT_NEAR(std::log2(error(Solver::kUnipc, 40) / error(Solver::kUnipc, 80)), 3, 0.4);
}

// diffusers 0.35.2 on the flow of this Gaussian (s = 0, flow sigmas, order 2, 8 steps from t = 0.001), float64.
TEST(LogRatioSolvers, StepAsDiffusersDoesOnAFlow) {
  const auto network = test::gaussian_flow(kMean, kStd);
  std::vector<double> grid;
  for (int i = 0; i <= 8; ++i) grid.push_back(1 - 0.999 * (1 - i / 8.0));
  grid.back() = 1;
  const std::map<Solver, std::vector<double>> published{
      {Solver::kUnipc, {0.37440405753164946, 0.8353960448105002, 1.2421536806447802}},
      {Solver::kDpmpp2m, {0.3794696989244898, 0.8332895125838514, 1.233718765213574}}};
  for (const auto& [solver, expected] : published) {
    const auto end = sample::run(plain(solver), network, at::tensor({-1.2, 0.5, 2.0}, at::kDouble), grid);
    EXPECT_LT((end - at::tensor(expected, at::kDouble)).abs().max().item<double>(), 2e-6) << config::name(solver);
  }
}
