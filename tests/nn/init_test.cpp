#include "sdg/nn/init.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace sdg;

namespace {
Tensor drawn(uint64_t seed, const char* name, at::IntArrayRef shape) {
  auto x = at::empty(shape);
  nn::Initializer(seed).normal(x, name, 1);
  return x;
}
}  // namespace

TEST(Initializer, DependsOnSeedAndNameAndNothingElse) {
  const auto first = drawn(1, "a.weight", {300, 7});
  drawn(1, "b.weight", {3});
  EXPECT_TRUE(at::equal(first, drawn(1, "a.weight", {300, 7})));
  EXPECT_FALSE(at::equal(first, drawn(2, "a.weight", {300, 7})));
  EXPECT_FALSE(at::equal(first, drawn(1, "b.weight", {300, 7})));
}

TEST(Initializer, DoesNotDependOnThePrecisionOfTheParameter) {
  auto wide = at::empty({40, 5}, at::kDouble);
  nn::Initializer(3).normal(wide, "w", 0.02);
  auto narrow = at::empty({40, 5});
  nn::Initializer(3).normal(narrow, "w", 0.02);
  EXPECT_TRUE(at::equal(wide.to(at::kFloat), narrow));
}

// Bounds are six standard errors.
TEST(Initializer, NormalHasTheAskedSpread) {
  auto x = at::empty({500, 400});
  nn::Initializer(4).normal(x, "w", 0.02);
  EXPECT_NEAR(x.mean().item<double>(), 0, 6 * 0.02 / std::sqrt(2e5));
  EXPECT_NEAR(x.std().item<double>() / 0.02, 1, 6 / std::sqrt(2 * 2e5));
}

TEST(Initializer, XavierFillsItsInterval) {
  auto x = at::empty({30, 4, 5, 5});
  nn::Initializer(5).xavier_uniform(x, "w");
  const double bound = std::sqrt(6.0 / (30 + 100));
  EXPECT_LE(x.abs().max().item<double>(), bound);
  EXPECT_GT(x.max().item<double>(), 0.99 * bound);
  EXPECT_LT(x.min().item<double>(), -0.99 * bound);
  EXPECT_NEAR(x.mean().item<double>(), 0, 6 * bound / std::sqrt(3 * 3000.0));
}

TEST(Initializer, ConvolutionsGetPyTorchsBounds) {
  auto weight = at::empty({64, 4, 3, 3}), bias = at::empty({64});
  nn::Initializer(6).conv(weight, bias, "conv");
  const double bound = 1 / std::sqrt(36.0);
  EXPECT_LE(weight.abs().max().item<double>(), bound);
  EXPECT_GT(weight.abs().max().item<double>(), 0.99 * bound);
  EXPECT_LE(bias.abs().max().item<double>(), bound);
  EXPECT_GT(bias.abs().max().item<double>(), 0.8 * bound);
}

TEST(Initializer, LeavesTheMetaDeviceAlone) {
  const auto x = at::empty({int64_t{1} << 40, 2}, at::TensorOptions(at::kMeta));
  nn::Initializer(7).normal(x, "w", 1);
  nn::Initializer::constant(x, 1);
  EXPECT_TRUE(x.is_meta());
}

TEST(Initializer, FanInCountsAllDimensionsButTheFirst) {
  auto x = at::empty({30, 4, 5, 5});
  nn::Initializer(8).fan_in(x, "w");
  EXPECT_LE(x.abs().max().item<double>(), 0.1);
  EXPECT_GT(x.abs().max().item<double>(), 0.099);
}

TEST(Initializer, AnIdentityConvolutionHandsEveryImageThrough) {
  const auto weight = at::full({3, 3, 5, 5}, 7.0), bias = at::full({3}, 7.0);
  nn::Initializer::identity_conv(weight, bias);
  const auto x = at::arange(2 * 3 * 6 * 6, at::kFloat).view({2, 3, 6, 6}).sin();
  EXPECT_TRUE(at::equal(at::conv2d(x, weight, bias, 1, 2), x));
}
