#include "sdg/core/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

using namespace sdg;

const rng::Stream kStream{7, rng::Purpose::kTest, 3};

// Known answers of the reference implementation (Random123, kat_vectors, philox4x32 with 10 rounds).
TEST(Philox, MatchesThePublishedKnownAnswers) {
  EXPECT_EQ(rng::philox({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(rng::philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(rng::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, ARowDependsOnlyOnItsSample) {
  const auto together = rng::normal(kStream, {4, 9, 1000000007}, {3, 5});
  EXPECT_TRUE(at::equal(together[1], rng::normal(kStream, {9}, {3, 5})[0]));
  EXPECT_TRUE(at::equal(together[2], rng::normal(kStream, {1000000007}, {3, 5})[0]));
  EXPECT_FALSE(at::equal(together[0], together[1]));
}

TEST(Rng, SeedPurposeAndStepEachChangeTheDraw) {
  const auto base = rng::uniform(kStream, {1}, {8});
  auto other = kStream;
  other.seed = 8;
  EXPECT_FALSE(at::equal(base, rng::uniform(other, {1}, {8})));
  other = kStream;
  other.step = 4;
  EXPECT_FALSE(at::equal(base, rng::uniform(other, {1}, {8})));
  other = kStream;
  other.purpose = rng::Purpose::kNoise;
  EXPECT_FALSE(at::equal(base, rng::uniform(other, {1}, {8})));
}

// Bounds are six standard errors of each estimate, so a sound generator fails about once in 10^8 seeds.
TEST(Rng, NormalHasTheMomentsOfANormal) {
  const int64_t n = 400000;
  const auto x = rng::normal(kStream, rng::consecutive(0, n / 100), {100}).to(at::kDouble);
  EXPECT_NEAR(x.mean().item<double>(), 0, 6 / std::sqrt(n));
  EXPECT_NEAR(x.pow(2).mean().item<double>(), 1, 6 * std::sqrt(2.0 / n));
  EXPECT_NEAR(x.pow(3).mean().item<double>(), 0, 6 * std::sqrt(15.0 / n));
  EXPECT_NEAR(x.pow(4).mean().item<double>(), 3, 6 * std::sqrt(96.0 / n));
  const auto neighbours = (x.slice(1, 1) * x.slice(1, 0, -1)).mean().item<double>();
  EXPECT_NEAR(neighbours, 0, 6 / std::sqrt(n));
}

TEST(Rng, UniformFillsTheUnitIntervalEvenly) {
  const int64_t n = 400000, bins = 64;
  const auto x = rng::uniform(kStream, rng::consecutive(0, n / 100), {100});
  EXPECT_GE(x.min().item<float>(), 0.F);
  EXPECT_LT(x.max().item<float>(), 1.F);
  const auto counts = at::histc(x, bins, 0, 1).to(at::kDouble);
  const double expected = static_cast<double>(n) / bins;
  const double chi_square = ((counts - expected).pow(2) / expected).sum().item<double>();
  EXPECT_LT(chi_square, 63 + 6 * std::sqrt(2 * 63.0));
}

TEST(Rng, PermutationHoldsEveryIndexOnce) {
  const auto order = rng::permutation(kStream, 1797);
  EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 1797U);
  EXPECT_EQ(*std::max_element(order.begin(), order.end()), 1796);
  EXPECT_NE(order, rng::permutation({7, rng::Purpose::kTest, 4}, 1797));
  EXPECT_TRUE(rng::permutation(kStream, 0).empty());
}
