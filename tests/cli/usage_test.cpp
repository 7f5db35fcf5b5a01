#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/tiny_program.h"

using namespace sdg;
using test::expect_failure;
using test::kTiny;
using test::Program;
using ::testing::HasSubstr;

TEST_F(Program, SaysItsVersionAndThatOfLibTorch) {
  const auto result = sdg("--version");
  EXPECT_EQ(result.code, 0);
  EXPECT_THAT(result.out, HasSubstr("LibTorch"));
}

TEST_F(Program, WithoutACommandOrWithAnUnknownOptionExitsWithTwo) {
  expect_failure(sdg(""), 2, "sdg --help");
  expect_failure(sdg("train --unknown"), 2, "--unknown");
  expect_failure(sdg("trian"), 2, "did you mean train?");
  expect_failure(sdg("sample --guidance abc"), 2, "--guidance");
}

TEST_F(Program, EveryCommandShowsExamples) {
  for (const std::string command : {"train", "sample", "eval-fid", "eval-clusters", "clusters", "kmeans", "audit",
                                    "sweep", "encode", "decode", "inspect", "convert", "config", "bench"}) {
    const auto result = sdg(command + " --help");
    EXPECT_EQ(result.code, 0) << command;
    EXPECT_THAT(result.out, HasSubstr("Examples:\n  sdg " + command));
  }
}

TEST_F(Program, AMisspeltOptionIsAnsweredWithTheRightOne) {
  expect_failure(sdg("train --set train.bacth=3"), 2, "did you mean train.batch?");
  expect_failure(sdg("train --set train.batch=many"), 2, "train.batch");
  expect_failure(sdg("train --config digitz.yaml"), 2, "digits");
  expect_failure(sdg("sample --guidence 2"), 2, "did you mean --guidance?; see sdg sample --help");
  expect_failure(sdg("sample --stpes=25"), 2, "did you mean --steps?");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
}

TEST_F(Program, ADryRunPrintsAConfigurationThatReadsBackAndTrainsNothing) {
  const auto result = sdg("train --dry-run --run run " + kTiny);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("# parameters"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
  test::write_text(folder_ / "again.yaml", result.out);
  const auto again = sdg("train --dry-run --run run --config again.yaml");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, result.out);
}

TEST_F(Program, NeedsARunToSampleFrom) {
  expect_failure(sdg("sample"), 2, "no run found under runs/");
  expect_failure(sdg("sample --run nowhere"), 2, "nowhere");
  expect_failure(sdg("eval-fid --checkpoint nowhere.safetensors"), 2, "nowhere.safetensors");
  expect_failure(sdg("train --resume nowhere"), 2, "nothing to resume");
}

TEST_F(Program, NamesDataThatCannotBeTrainedOn) {
  expect_failure(sdg("train --run a " + kTiny + "--set data.path=nowhere.safetensors"), 1, "nowhere.safetensors");
  std::filesystem::create_directory(folder_ / "empty");
  expect_failure(sdg("train --run b " + kTiny + "--set data.path=empty"), 1, (folder_ / "empty").string());
  std::filesystem::create_directory(folder_ / "text");
  test::write_text(folder_.path() / "text" / "page.jpg", "this is no image\n");
  expect_failure(sdg("train --run c " + kTiny + "--set condition.source=none --set data.path=text"), 1, "page.jpg");
}

TEST_F(Program, RefusesMoreClustersThanImages) {
  expect_failure(sdg("train --run run " + kTiny + "--set cluster.clusters=5000"), 2, "5000 clusters");
}

TEST_F(Program, TheOptionsPageIsWhatTheDeclarationsSay) {
  EXPECT_EQ(sdg("config --markdown").out, test::read_text(SDG_SOURCE_DIR "/docs/config.md"))
      << "write it anew: sdg config --markdown > docs/config.md";
}
