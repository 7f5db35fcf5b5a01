#include "sdg/flow/path.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {
constexpr double kSigma = 0.05;  // large, so that forgetting it shows
const Shape kShape{2, 3, 4};

Tensor draw(uint64_t step) {
  return rng::normal({5, rng::Purpose::kTest, step}, rng::consecutive(0, 6), kShape).to(at::kDouble);
}
Tensor times() {
  return at::tensor({0.0, 0.1, 0.37, 0.5, 0.93, 1.0}, at::kDouble);
}
double distance(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}
}  // namespace

TEST(ConstantVelocity, GoesFromNoiseToDataWithAShareSigmaOfNoiseLeft) {
  const auto x = draw(0), eps = draw(1);
  EXPECT_EQ(distance(flow::constant_velocity(x, eps, at::zeros({6}, at::kDouble), kSigma).x_t, eps), 0);
  EXPECT_LT(distance(flow::constant_velocity(x, eps, at::ones({6}, at::kDouble), kSigma).x_t, x + kSigma * eps), 1e-15);
}

TEST(ConstantVelocity, VelocityIsTheTimeDerivativeOfThePath) {
  const auto x = draw(0), eps = draw(1), t = at::tensor({0.1, 0.2, 0.37, 0.5, 0.93, 0.99}, at::kDouble);
  const double h = 1e-3;
  const auto ahead = flow::constant_velocity(x, eps, t + h, kSigma).x_t;
  const auto behind = flow::constant_velocity(x, eps, t - h, kSigma).x_t;
  const auto velocity = flow::constant_velocity(x, eps, t, kSigma).velocity;
  EXPECT_LT(distance((ahead - behind) / (2 * h), velocity), 1e-11);
}

TEST(ConstantVelocity, OneTimeServesTheWholeBatch) {
  const auto x = draw(0), eps = draw(1);
  const auto one = flow::constant_velocity(x, eps, at::full({}, 0.3, at::kDouble));
  EXPECT_TRUE(at::equal(one.x_t, flow::constant_velocity(x, eps, at::full({6}, 0.3, at::kDouble)).x_t));
}

TEST(ConstantVelocity, SaysWhichShapesDisagree) {
  EXPECT_THROW(flow::constant_velocity(at::zeros({2, 3}), at::zeros({2, 4}), at::zeros({2})), Error);
  try {
    flow::constant_velocity(at::zeros({2, 3}), at::zeros({2, 3}), at::zeros({5}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "constant_velocity: t must be [2], got [5]");
  }
}

TEST(Conversions, RecoverWhatThePathWasMadeOf) {
  const auto x = draw(0), eps = draw(1), t = times();
  const auto path = flow::constant_velocity(x, eps, t, kSigma);
  EXPECT_LT(distance(flow::data_from_velocity(path.velocity, path.x_t, t, kSigma), x), 1e-12);
  EXPECT_LT(distance(flow::noise_from_velocity(path.velocity, path.x_t, t), eps), 1e-12);
}

TEST(Conversions, GoBothWays) {
  const auto x = draw(0), eps = draw(1), t = times() * 0.9 + 0.05;
  const auto path = flow::constant_velocity(x, eps, t, kSigma);
  EXPECT_LT(distance(flow::velocity_from_noise(eps, path.x_t, t), path.velocity), 1e-11);
  EXPECT_LT(distance(flow::velocity_from_data(x, path.x_t, t, kSigma), path.velocity), 1e-11);
}

// For data N(m, r^2) everything is Gaussian: x_t ~ N(t m, t^2 r^2 + b^2) with b = 1 - (1 - s) t.
TEST(Conversions, TheScoreOfGaussianDataIsTheGradientOfItsLogDensity) {
  const double mean = 0.7, spread = 0.6, t = 0.4;
  const double noise = 1 - (1 - kSigma) * t, variance = t * t * spread * spread + noise * noise;
  const auto x_t = at::linspace(-2, 2, 9, at::kDouble).reshape({9, 1});
  const auto data = mean + (t * spread * spread / variance) * (x_t - t * mean);  // E[x | x_t]
  const auto eps = (noise / variance) * (x_t - t * mean);                        // E[eps | x_t]
  const auto velocity = data - (1 - kSigma) * eps;
  const auto score = flow::score_from_velocity(velocity, x_t, at::full({9}, t, at::kDouble), kSigma);
  EXPECT_LT(distance(score, -(x_t - t * mean) / variance), 1e-12);
}

TEST(VelocityLoss, IsTheMeanSquareOfEachSample) {
  const auto predicted = at::zeros({2, 1, 2, 2}),
             target = at::tensor({1., 2., 3., 4., 0., 0., 0., 2.}).reshape({2, 1, 2, 2});
  const auto loss = flow::velocity_loss(predicted, target);
  EXPECT_DOUBLE_EQ(loss[0].item<double>(), 7.5);
  EXPECT_DOUBLE_EQ(loss[1].item<double>(), 1.0);
}
