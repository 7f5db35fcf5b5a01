#include "sdg/sample/grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"

using namespace sdg;
using testing::DoubleNear;
using testing::ElementsAre;

TEST(UniformGrid, EndsExactlyAtTheEndInEitherDirection) {
  EXPECT_THAT(sample::uniform_grid(4), ElementsAre(0, 0.25, 0.5, 0.75, 1));
  EXPECT_THAT(sample::uniform_grid(2, 1, 0), ElementsAre(1, 0.5, 0));
  for (int64_t steps : {1, 3, 7, 49, 1000}) EXPECT_EQ(sample::uniform_grid(steps).back(), 1.0);
  EXPECT_THROW(sample::uniform_grid(0), Error);
}

TEST(SteppedGrid, MakesTheLastStepShorterWhereTheStepDoesNotDivide) {
  EXPECT_THAT(sample::stepped_grid(0.3), ElementsAre(0, 0.3, 0.6, DoubleNear(0.9, 1e-12), 1));
  EXPECT_THAT(sample::stepped_grid(0.4, 1, 0), ElementsAre(1, 0.6, DoubleNear(0.2, 1e-12), 0));
  EXPECT_THAT(sample::stepped_grid(5), ElementsAre(0, 1));
}

TEST(SteppedGrid, RoundingAddsNoStep) {
  for (int64_t steps : {10, 20, 49, 100, 1000}) {
    EXPECT_EQ(sample::stepped_grid(1.0 / static_cast<double>(steps)).size(), static_cast<size_t>(steps) + 1) << steps;
    EXPECT_EQ(sample::stepped_grid(1.0F / static_cast<float>(steps)).size(), static_cast<size_t>(steps) + 1) << steps;
  }
}

TEST(CheckGrid, SaysWhichTimesAreOutOfOrder) {
  EXPECT_THROW(sample::check_grid({0.0}, "test"), Error);
  EXPECT_THROW(sample::check_grid({0.5, 0.5}, "test"), Error);
  try {
    sample::check_grid({0, 0.5, 0.25, 1}, "test");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "test: the grid must be strictly monotonic, got 0.5 then 0.25");
  }
}
