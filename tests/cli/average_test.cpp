// sdg average: an average of another width, as a checkpoint that other commands take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/tiny_program.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;

using AverageProgram = test::Program;

TEST_F(AverageProgram, MakesCheckpointsThatSampleAndEvalTake) {
  train_run("--set average.track=true --set average.every=1");
  const auto made = sdg("average run --width 0.15");
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("width 0.15 at step 6, of 5 snapshots; its profile is off by "));
  const std::string file = "run/averages/width-0.15.safetensors";
  ASSERT_TRUE(std::filesystem::exists(folder_ / file));
  const auto drawn = sdg("sample --checkpoint " + file + " --count 4 --out a");
  EXPECT_EQ(drawn.code, 0) << drawn.err;
  const auto measured = sdg("eval --checkpoint " + file + " --count 32");
  EXPECT_EQ(measured.code, 0) << measured.err;
  EXPECT_THAT(measured.out, HasSubstr("FD-digits "));
  EXPECT_EQ(sdg("average --checkpoint run/checkpoints/last.safetensors --width 0.12 --out other.safetensors").code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "other.safetensors"));
  // What is refused is one line.
  expect_failure(sdg("average run"), 2, "--width: needed");
  expect_failure(sdg("average run --width 0.4"), 2, "--width: expected a number from 0.001 to 0.2886");
  expect_failure(sdg("average run --width 0.002"), 2, "no mixture of 5 snapshots comes near enough");
  expect_failure(sdg("average nowhere --width 0.1"), 2, "nowhere: no checkpoint there");
}

TEST_F(AverageProgram, DryRunTellsTheDisk) {
  const auto told = sdg("train --run run --dry-run " + test::kTiny +
                        "--set train.steps=1000 --set average.track=true --set average.every=10");
  ASSERT_EQ(told.code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("of averages for any width"));
  EXPECT_THAT(told.out, HasSubstr("on disk at the end: 25 snapshots, one every 40 steps"));
}
