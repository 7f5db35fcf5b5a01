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

TEST(TimeGrid, LiesAtEqualStepsOfTheTimeOrOfTheNetworksOwnPath) {
  const flow::PredictionTable of_betas({flow::Target::kNoise, flow::Path::kLinear});
  sample::SampleOptions options;
  options.steps = 5;
  EXPECT_EQ(sample::time_grid(options, of_betas), sample::uniform_grid(5));
  options.grid = sample::Grid::kOwn;
  EXPECT_EQ(sample::time_grid(options, of_betas), of_betas.own_grid(5));
}

TEST(TimeGrid, ALastStepApartHasItsOwnLength) {
  sample::SampleOptions options;
  options.solver = sample::Solver::kEulerMaruyama;
  options.steps = 5;
  options.last_step_size = 0.2;
  const flow::PredictionTable straight;
  EXPECT_THAT(sample::time_grid(options, straight), ElementsAre(0, DoubleNear(0.2, 1e-12), DoubleNear(0.4, 1e-12),
                                                                DoubleNear(0.6, 1e-12), DoubleNear(0.8, 1e-12), 1));
  options.last_step = sample::LastStep::kNone;
  EXPECT_EQ(sample::time_grid(options, straight), sample::uniform_grid(5));
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
