#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"
#include "support/temporary_folder.h"

using namespace sdg;
using sample::Solver;
using sample::Variance;

namespace {

constexpr double kMean = 0.4, kStd = 0.5;

// The perfect network for data N(m, c^2), s = 0.
sample::Denoiser gaussian(double variance = 0) {
  return sample::Denoiser(
      [variance](const Tensor& x, double t) -> sample::Answer {
        const double spread = t * t * kStd * kStd + (1 - t) * (1 - t);
        return {kMean + (t * kStd * kStd - (1 - t)) / spread * (x - t * kMean), at::full_like(x, variance)};
      },
      0);
}

Tensor noise(int64_t step, int64_t n) {
  return rng::normal({5, rng::Purpose::kTest, static_cast<uint64_t>(step)}, rng::consecutive(0, n), {}).to(at::kDouble);
}

Tensor drawn(Solver solver, double eta, Variance variance, int64_t steps, int64_t n, double learned = 0) {
  sample::SampleOptions options;
  options.solver = solver;
  options.eta = eta;
  options.variance = variance;
  return sample::run(options, gaussian(learned), noise(-1, n), sample::uniform_grid(steps),
                     [&](int64_t step) { return noise(step, n); });
}

}  // namespace

TEST(Ddpm, DrawsAreOfTheDataWhateverTheVariance) {
  for (const auto& [solver, eta, variance] :
       std::vector<std::tuple<Solver, double, Variance>>{{Solver::kDdim, 0.5, Variance::kSmall},
                                                         {Solver::kDdim, 1, Variance::kSmall},
                                                         {Solver::kDdpm, 0, Variance::kSmall},
                                                         {Solver::kDdpm, 0, Variance::kLarge},
                                                         {Solver::kDdpm, 0, Variance::kLearned}}) {
    const auto end = drawn(solver, eta, variance, 200, 10000);
    EXPECT_NEAR(end.mean().item<double>(), kMean, 0.02) << config::name(solver) << eta << config::name(variance);
    EXPECT_NEAR(end.std().item<double>(), kStd, 0.02) << config::name(solver) << eta << config::name(variance);
  }
}

// Song et al.: DDIM with eta 1 is DDPM with the small variance, draw for draw.
TEST(Ddpm, DdimWithEtaOneIsDdpmWithTheSmallVariance) {
  const auto a = drawn(Solver::kDdim, 1, Variance::kSmall, 7, 100),
             b = drawn(Solver::kDdpm, 0, Variance::kSmall, 7, 100);
  EXPECT_LT((a - b).abs().max().item<double>(), 1e-12);
}

TEST(Ddpm, TheEndsOfALearnedVarianceAreTheFixedOnes) {
  const auto at = [](Variance variance, double learned) { return drawn(Solver::kDdpm, 0, variance, 7, 100, learned); };
  EXPECT_LT((at(Variance::kLearned, -1) - at(Variance::kSmall, 0)).abs().max().item<double>(), 1e-12);
  EXPECT_LT((at(Variance::kLearned, 1) - at(Variance::kLarge, 0)).abs().max().item<double>(), 1e-12);
  EXPECT_GT((at(Variance::kLearned, 0) - at(Variance::kLarge, 0)).abs().max().item<double>(), 1e-3);
}

TEST(Ddpm, ALearnedVarianceNeedsANetworkThatLearnedOne) {
  sample::SampleOptions options;
  options.solver = Solver::kDdpm;
  options.variance = Variance::kLearned;
  const sample::Denoiser without([](const Tensor& x, double) { return -x; }, 0);
  EXPECT_THAT(test::message_of<UsageError>([&] {
                sample::run(options, without, at::ones({2}), {0, 0.5, 1}, [](int64_t) { return at::zeros({2}); });
              }),
              ::testing::HasSubstr("learned none"));
}

TEST(Ddpm, NeedsNoise) {
  sample::SampleOptions options;
  options.solver = Solver::kDdpm;
  EXPECT_THAT(test::message_of<Error>([&] { sample::run(options, gaussian(), at::ones({2}), {0, 0.5, 1}); }),
              ::testing::HasSubstr("needs noise"));
}

// EDM's noise in, noise out: the draws stay those of the data.
TEST(Edm, DrawsAreOfTheDataHoweverMuchNoiseIsPutBack) {
  for (const double churn : {5.0, 20.0}) {
    sample::SampleOptions options;
    options.solver = Solver::kEdm;
    options.churn = churn;
    options.churn_noise = 1;
    const auto grid = sample::karras_grid(60, 7, 0);
    const auto end =
        sample::run(options, gaussian(), noise(-1, 10000), grid, [&](int64_t step) { return noise(step, 10000); });
    EXPECT_NEAR(end.mean().item<double>(), kMean, 0.02) << churn;
    EXPECT_NEAR(end.std().item<double>(), kStd, 0.02) << churn;
    options.churn = 0;
    EXPECT_GT((end - sample::run(options, gaussian(), noise(-1, 10000), grid)).abs().mean().item<double>(), 0.05);
  }
}
