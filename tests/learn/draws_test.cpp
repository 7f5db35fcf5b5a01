#include "sdg/learn/draws.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/rng.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

Tensor uniforms(int64_t n) {
  return (at::arange(n, at::kDouble) / static_cast<double>(n)).to(at::kFloat);
}

recipe::TrainOptions logit_normal(double mean, double width) {
  recipe::TrainOptions out;
  out.time = recipe::TimeDraw::kLogitNormal;
  out.time_mean = mean;
  out.time_width = width;
  return out;
}

}  // namespace

TEST(TimesOfTraining, AreTheUniformNumbersThemselvesUnlessAsked) {
  const auto u = uniforms(64);
  EXPECT_TRUE(test::same_bytes(learn::time_drawn({}, u), u));
}

TEST(TimesOfTraining, HaveTheLogitNormalsDistribution) {
  const auto u = uniforms(4096);
  for (const auto& [mean, width] : {std::pair{0.0, 1.0}, {-0.8, 0.5}, {1.0, 2.0}}) {
    const auto t = learn::time_drawn(logit_normal(mean, width), u);
    EXPECT_TRUE(t.isfinite().all().item<bool>() && t.ge(0).all().item<bool>() && t.le(1).all().item<bool>());
    // The share of draws below t is the normal's distribution function of logit t.
    for (const double at : {0.1, 0.35, 0.5, 0.8, 0.97}) {
      const double expected = 0.5 * std::erfc(-(std::log(at / (1 - at)) - mean) / (width * std::sqrt(2.0)));
      EXPECT_NEAR(t.lt(at).to(at::kDouble).mean().item<double>(), expected, 1e-3) << mean << " " << at;
    }
  }
}

TEST(TimesOfTraining, AreShiftedTowardsTheNoise) {
  recipe::TrainOptions options;
  options.time_shift = 3;
  const auto u = uniforms(16), t = learn::time_drawn(options, u);
  for (int64_t i = 0; i < 16; ++i) {
    const double noise = 1 - u[i].item<double>();
    EXPECT_NEAR(1 - t[i].item<double>(), 3 * noise / (1 + 2 * noise), 1e-6);
  }
}

TEST(TimesOfTraining, ReachTheNetwork) {
  auto config = test::tiny_config("unused", "none");
  const std::vector<int64_t> samples{0, 1, 2, 3};
  const auto plain = learn::counter_draws(config, 4)(samples, {1, 8, 8});
  config.train.time = recipe::TimeDraw::kLogitNormal;
  config.train.time_shift = 2;
  const auto drawn = learn::counter_draws(config, 4)(samples, {1, 8, 8});
  EXPECT_TRUE(test::same_bytes(drawn.eps, plain.eps));
  EXPECT_TRUE(test::same_bytes(drawn.t, learn::time_drawn(config.train, plain.t)));
  EXPECT_FALSE(at::equal(drawn.t, plain.t));
}
