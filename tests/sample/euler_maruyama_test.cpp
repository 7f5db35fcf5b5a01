#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sample/gaussian_flow.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/sample/diffusion.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"
#include "support/temporary_folder.h"

using namespace sdg;
using sample::Diffusion;
using sample::LastStep;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

constexpr double kMean = 0.4, kStd = 0.5;

sample::Denoiser gaussian() {
  return test::gaussian_flow(kMean, kStd);
}

sample::SampleOptions stochastic(Diffusion form, LastStep last, int64_t steps) {
  sample::SampleOptions options;
  options.solver = sample::Solver::kEulerMaruyama;
  options.diffusion = form;
  options.last_step = last;
  options.steps = steps;
  return options;
}

Tensor noise(int64_t step, int64_t n) {
  return rng::normal({5, rng::Purpose::kTest, static_cast<uint64_t>(step)}, rng::consecutive(0, n), {}).to(at::kDouble);
}

}  // namespace

// Whatever the diffusion, the SDE has the flow's densities, so the draws are of the data.
TEST(EulerMaruyama, DrawsAreOfTheDataWhateverTheDiffusion) {
  constexpr int64_t kDraws = 10000, kSteps = 200;
  std::vector<Tensor> noises;
  for (int64_t step = 0; step < kSteps; ++step) noises.push_back(noise(step, kDraws));
  for (const auto form : {Diffusion::kConstant, Diffusion::kSbdm, Diffusion::kSigma, Diffusion::kLinear,
                          Diffusion::kDecreasing, Diffusion::kIncreasingDecreasing}) {
    for (const auto last : {LastStep::kMean, LastStep::kTweedie, LastStep::kEuler, LastStep::kNone}) {
      auto options = stochastic(form, last, kSteps);
      options.last_step_size = 1.0 / kSteps;  // without its own noise it leaves out that much of the spread
      const auto end =
          sample::run(options, gaussian(), noise(-1, kDraws), sample::time_grid(options, flow::PredictionTable()),
                      [&](int64_t step) { return noises.at(static_cast<size_t>(step)); });
      const auto what = cat(static_cast<int>(form), " ", static_cast<int>(last));
      EXPECT_NEAR(end.mean().item<double>(), kMean, 0.02) << what;  // 4 standard errors
      EXPECT_NEAR(end.std().item<double>(), kStd, 0.02) << what;
    }
  }
}

TEST(EulerMaruyama, NoiseDecidesTheDraw) {
  const auto options = stochastic(Diffusion::kSigma, LastStep::kMean, 20);
  const auto grid = sample::time_grid(options, flow::PredictionTable());
  const auto end = [&](int64_t key) {
    return sample::run(options, gaussian(), at::ones({4}, at::kDouble), grid,
                       [&](int64_t step) { return noise(step + key, 4); });
  };
  EXPECT_TRUE(at::equal(end(0), end(0)));
  EXPECT_GT((end(0) - end(1000)).abs().min().item<double>(), 1e-3);
}

TEST(EulerMaruyama, AsksForTheNoiseOfEachStepOnceAndForNoneInTheLast) {
  int64_t evaluations = 0;
  const sample::Denoiser counting([&](const Tensor& x, double) { return ++evaluations, -x; });
  for (const auto last : {LastStep::kMean, LastStep::kNone}) {
    std::vector<int64_t> asked, reported;
    evaluations = 0;
    sample::run(
        stochastic(Diffusion::kSigma, last, 4), counting, at::ones({2}), {0, 0.25, 0.5, 0.75, 1},
        [&](int64_t step) { return asked.push_back(step), at::zeros({2}); },
        [&](int64_t step, const Tensor&) { reported.push_back(step); });
    if (last == LastStep::kNone) {
      EXPECT_THAT(asked, ElementsAre(0, 1, 2, 3));
    } else {
      EXPECT_THAT(asked, ElementsAre(0, 1, 2));
    }
    EXPECT_THAT(reported, ElementsAre(0, 1, 2, 3));
    EXPECT_EQ(evaluations, 4);
  }
}

TEST(EulerMaruyama, NeedsNoiseAndAGridThatRises) {
  const auto options = stochastic(Diffusion::kSigma, LastStep::kMean, 2);
  const auto zero = [](int64_t) { return at::zeros({1}); };
  EXPECT_THAT(test::message_of<Error>([&] { sample::run(options, gaussian(), at::ones({1}), {0, 0.5, 1}); }),
              HasSubstr("needs noise"));
  EXPECT_THAT(test::message_of<Error>([&] { sample::run(options, gaussian(), at::ones({1}), {1, 0.5, 0}, zero); }),
              HasSubstr("must rise"));
}
