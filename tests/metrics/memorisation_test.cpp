#include "sdg/metrics/memorisation.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {
Tensor drawn(uint64_t step, int64_t n) {
  return rng::normal({8, rng::Purpose::kTest, step}, rng::consecutive(0, n), {6});
}
}  // namespace

TEST(Memorisation, AuthenticityIsTheKnownValueOfTwoSmallSets) {
  const auto real = at::arange(36, at::kDouble).mul(1.7).sin().mul(1.5).view({12, 3});
  const auto fake = at::arange(30, at::kDouble).mul(1.3).add(0.4).cos().mul(1.2).add(0.3).view({10, 3});
  EXPECT_NEAR(memorisation(real, fake).authentic, 0.9, 1e-12);
}

TEST(Memorisation, FreshImagesAreSuspectedAboutAsOftenAsTheLevelSays) {
  const auto found = memorisation(drawn(1, 1500), drawn(2, 1500), {.level = 0.05});
  EXPECT_NEAR(found.suspicious, 0.05, 0.02);  // 0.0056 is its deviation where the two are drawn alike
  EXPECT_NEAR(found.authentic, 0.5, 0.06);
  EXPECT_EQ(found.copies, 0);
}

TEST(Memorisation, FindsTheCopiesAndTheNearlyCopied) {
  const auto train = drawn(1, 1000);
  const auto fake = drawn(2, 100);
  fake.slice(0, 0, 20).copy_(train.slice(0, 300, 320));
  fake.slice(0, 20, 40).copy_(train.slice(0, 500, 520) + 0.01 * drawn(3, 20));
  const auto found = memorisation(train, fake);
  EXPECT_EQ(found.copies, 20);
  EXPECT_GE(found.suspicious, 0.4);
  EXPECT_LT(found.suspicious, 0.46);
  for (const int64_t i : {0, 19}) {
    EXPECT_EQ(found.nearest[i].item<int64_t>(), 300 + i);
    EXPECT_EQ(found.ratios[i].item<double>(), 0);
  }
  EXPECT_EQ(found.nearest[25].item<int64_t>(), 505);
}

TEST(Memorisation, RefusesTooFewTrainingImages) {
  EXPECT_THROW(memorisation(drawn(1, 2), drawn(2, 5)), Error);
  EXPECT_THROW(memorisation(drawn(1, 9), drawn(2, 5), {.level = 1}), Error);
}

}  // namespace sdg::metrics
