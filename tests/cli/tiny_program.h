#pragma once
// The shipped digits with a network and a length of seconds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "cli/program.h"
#include "sdg/checkpoint/run_folder.h"

namespace sdg::test {

inline const std::string kTiny =
    "--config '" SDG_SOURCE_DIR
    "/configs/digits.yaml' --set device=cpu --set model.dim=32 --set model.depth=3 --set model.heads=2 "
    "--set train.steps=6 --set train.batch=16 --set train.warmup=1 --set cluster.clusters=5 --set sample.steps=2 "
    "--set eval.count=32 --set eval.cluster_images=64 ";

inline std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> out;
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

/// A failure is one line on standard error, the last one, that begins with `sdg: ` and holds `what`; nothing on
/// standard output.
inline void expect_failure(const Outcome& outcome, int code, const std::string& what) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  const auto lines = lines_of(outcome.err);
  ASSERT_FALSE(lines.empty());
  EXPECT_THAT(lines.back(), ::testing::StartsWith("sdg: "));
  EXPECT_THAT(lines.back(), ::testing::HasSubstr(what));
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.rfind("sdg: ", 0) == 0; }), 1)
      << outcome.err;
}

/// A temporary working folder, in which `run` is made on demand.
class Program : public ::testing::Test {
 protected:
  Outcome sdg(const std::string& arguments, const std::string& before = "") const {
    return run_program(folder_.path(), arguments, before);
  }
  void train_run(const std::string& more = "") const {
    const auto result = sdg("train --run run " + kTiny + more);
    ASSERT_EQ(result.code, 0) << result.err;
  }
  std::filesystem::path last(const std::string& run = "run") const {
    return checkpoint::RunFolder(folder_ / run).last();
  }

  const TemporaryFolder folder_;
};

}  // namespace sdg::test
