#include "sdg/flow/respacing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/flow/prediction_table.h"

using namespace sdg;
using ::testing::ElementsAre;

// Of the public code (its float strides round half to even).
TEST(Respacing, KeepsTheStepsOfThePublicCode) {
  const auto ten = flow::respaced_steps({10});
  EXPECT_THAT(ten, ElementsAre(0, 111, 222, 333, 444, 555, 666, 777, 888, 999));
  const auto fifty = flow::respaced_steps({50});
  EXPECT_THAT(std::vector<int64_t>(fifty.begin(), fifty.begin() + 5), ElementsAre(0, 20, 41, 61, 82));
  EXPECT_EQ(fifty.back(), 999);
  EXPECT_THAT(flow::respaced_steps({2, 1, 3}), ElementsAre(0, 333, 334, 667, 833, 999));
}

TEST(Respacing, StridesAsDdimDoes) {
  const auto fifty = flow::strided_steps(50);
  EXPECT_EQ(fifty.size(), 50U);
  EXPECT_EQ(fifty[1], 20);
  EXPECT_EQ(fifty.back(), 980);
  EXPECT_THROW(flow::strided_steps(300), UsageError);
  EXPECT_THROW(flow::respaced_steps({1001}), UsageError);
}

TEST(Respacing, AGridOfStepsGoesFromNoiseToTheImage) {
  const flow::PredictionTable table({flow::Target::kNoise, flow::Path::kLinear});
  const auto grid = table.grid_of_steps(flow::respaced_steps({4}));
  ASSERT_EQ(grid.size(), 5U);
  EXPECT_EQ(grid.front(), 0);
  EXPECT_EQ(grid.back(), 1);
  EXPECT_NEAR(grid[3], 0.9901, 1e-3);  // n = 0
  EXPECT_EQ(flow::PredictionTable().grid_of_steps({0, 500, 999}).size(), 4U);
}
