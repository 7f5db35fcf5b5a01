#include "sdg/metrics/inception_score.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {

Tensor golden() {
  return at::arange(50, at::kDouble).mul(0.9).sin().mul(2).view({10, 5});
}

Tensor drawn(int64_t rows) {
  return rng::normal({9, rng::Purpose::kTest, 4}, rng::consecutive(0, rows), {6}) * 2;
}

}  // namespace

TEST(InceptionScore, IsTheKnownValueOfASmallTable) {
  EXPECT_NEAR(inception_score({golden()}).mean, 1.6146411, 5e-8);
  const auto halves = inception_score({golden().slice(0, 0, 5), golden().slice(0, 5)});
  EXPECT_NEAR(halves.mean, (1.5431822 + 1.6217320) / 2, 5e-8);
  EXPECT_NEAR(halves.deviation, (1.6217320 - 1.5431822) / 2, 5e-8);
}

TEST(InceptionScore, GoesFromOneToTheNumberOfClasses) {
  EXPECT_NEAR(inception_score({at::zeros({7, 4})}).mean, 1, 1e-12);
  EXPECT_NEAR(inception_score({at::eye(4) * 1000}).mean, 4, 1e-12) << "probabilities of exactly 0 and 1";
}

TEST(InceptionScore, EverySplitHoldsItsShareAndTheOrderIsKeyed) {
  const auto logits = drawn(103);
  const auto a = inception_score(logits, 10, 1), b = inception_score(logits, 10, 1), c = inception_score(logits, 10, 2);
  EXPECT_EQ(a.pieces, 10);
  EXPECT_EQ(a.mean, b.mean);
  EXPECT_NE(a.mean, c.mean);
  EXPECT_NEAR(inception_score(logits, 1, 5).mean, inception_score({logits}).mean, 1e-12);
}

TEST(InceptionScore, RefusesMoreSplitsThanImages) {
  EXPECT_THROW(inception_score(drawn(3), 4), Error);
  EXPECT_THROW(inception_score(drawn(3), 0), Error);
  EXPECT_THROW(inception_score({drawn(3), drawn(0)}), Error);
}

}  // namespace sdg::metrics
