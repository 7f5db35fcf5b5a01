// Averages of widths that were never tracked, of a made-up training whose every step is known.
#include "sdg/average/mixture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {

constexpr int64_t kSteps = 2000, kWeights = 16;

// Weights that run in, drift, oscillate and shake, [steps, weights] in float64.
Tensor trajectory() {
  const auto shaken = rng::normal({7, rng::Purpose::kTest, 0}, rng::consecutive(0, kSteps), {kWeights});
  const auto walk = shaken.to(at::kDouble).cumsum(0) * 0.02;
  const auto time = at::arange(1, kSteps + 1, at::kDouble).unsqueeze(1) / static_cast<double>(kSteps);
  const auto phase = at::arange(kWeights, at::kDouble).unsqueeze(0);
  return 5 + phase - 2 * at::exp(-6 * time) + at::sin(9 * time + phase) * 0.3 + walk;
}

// By the definition: each step counts as the integral of the profile over it.
Tensor exact(const Tensor& weights, double width, int64_t steps) {
  const double p = average::gamma_of(width) + 1;
  const auto n = at::arange(1, steps + 1, at::kDouble);
  const auto share = at::pow(n / static_cast<double>(steps), p) - at::pow((n - 1) / static_cast<double>(steps), p);
  return at::mv(weights.slice(0, 0, steps).t(), share);
}

// What a run keeps: both averages at every `spacing` steps and at the end, updated step by step.
struct Kept {
  std::vector<average::Profile> profiles;
  std::vector<Tensor> values;
};
Kept track(const Tensor& weights, int64_t spacing) {
  Kept out;
  for (const double width : {0.05, 0.10}) {
    const double gamma = average::gamma_of(width);
    auto running = at::zeros({kWeights}, at::kDouble);
    for (int64_t n = 1; n <= kSteps; ++n) {
      running.lerp_(weights[n - 1], 1 - average::kept_share(gamma, n));
      if (n % spacing != 0 && n != kSteps) continue;
      out.profiles.push_back({gamma, static_cast<double>(n)});
      out.values.push_back(running.clone());
    }
  }
  return out;
}

double relative(const Tensor& made, const Tensor& wanted, const Tensor& scale) {
  return ((made - wanted).norm() / (wanted - scale).norm()).item<double>();
}

}  // namespace

TEST(TrackedAverages, AreTheWeightedSumsOfTheirProfiles) {
  const auto weights = trajectory();
  const auto kept = track(weights, 500);
  const auto middle = exact(weights, 0.05, 500), end = exact(weights, 0.10, kSteps);
  EXPECT_LT((kept.values[0] - middle).abs().max().item<double>(), 1e-12);
  EXPECT_LT((kept.values.back() - end).abs().max().item<double>(), 1e-12);
}

TEST(AMixture, IsNearTheExactAverageOfAWidthThatWasNeverTracked) {
  const auto weights = trajectory();
  const auto last = weights[kSteps - 1];
  for (const int64_t spacing : {50, 100, 200}) {
    const auto kept = track(weights, spacing);
    for (const double width : {0.03, 0.07, 0.14, 0.2, 0.25}) {
      const auto mixture = average::mix(kept.profiles, {average::gamma_of(width), static_cast<double>(kSteps)});
      auto made = at::zeros({kWeights}, at::kDouble);
      for (size_t i = 0; i < kept.values.size(); ++i) made += mixture.weights[i] * kept.values[i];
      const auto wanted = exact(weights, width, kSteps);
      const double off = relative(made, wanted, last);  // of what averaging changes at all
      std::printf("[ mixture ] every %lld, width %.2f: profile off by %.4f, weights by %.5f of last to average\n",
                  static_cast<long long>(spacing), width, mixture.error, off);
      EXPECT_NEAR(std::accumulate(mixture.weights.begin(), mixture.weights.end(), 0.0), 1, 1e-9);
      EXPECT_LT(off, 0.05 + mixture.error) << spacing << " " << width;
      if (width >= 0.07 && width <= 0.2 && spacing <= 100) EXPECT_LT(mixture.error, 0.02) << spacing << " " << width;
    }
  }
}

TEST(AMixture, OfATrackedWidthIsThatAverage) {
  const auto kept = track(trajectory(), 500);
  const auto mixture = average::mix(kept.profiles, {average::gamma_of(0.05), static_cast<double>(kSteps)});
  EXPECT_LT(mixture.error, 1e-6);
  for (size_t i = 0; i < kept.profiles.size(); ++i)
    EXPECT_NEAR(mixture.weights[i], i + 1 == kept.profiles.size() / 2 ? 1 : 0, 1e-5) << i;
}

TEST(AMixture, SaysThatANarrowWidthIsOutOfReach) {
  const auto kept = track(trajectory(), 500);
  EXPECT_GT(average::mix(kept.profiles, {average::gamma_of(0.01), static_cast<double>(kSteps)}).error, 0.3);
  EXPECT_THROW(average::mix({}, {1, 1}), Error);
}
