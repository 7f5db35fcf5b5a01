// sdg sweep: points are known by what decides them, and only by that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "sdg/tensors/tensor_file.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

class SweepProgram : public test::Program {
 protected:
  std::vector<std::string> points(const std::string& folder = "sweep") const {
    return test::lines_of(test::read_text(folder_.path() / folder / "points.jsonl"));
  }
  void expect_points(const std::string& command, size_t count) const {
    const auto result = sdg(command);
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(points().size(), count) << command;
  }
};

}  // namespace

TEST_F(SweepProgram, SweepMeasuresEachPointOnce) {
  train_run();
  const std::string command = "sweep --run tiny=run --guidance 0,1.5 --steps 1,2 --count 32 --out sweep";
  const auto first = sdg(command);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("| FD-digits | guidance 0 | guidance 1.5 |"));
  EXPECT_THAT(first.out, HasSubstr("best: tiny at guidance "));
  EXPECT_EQ(test::lines_of(test::read_text(folder_ / "sweep/points.jsonl")).size(), 4U);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "sweep/chart.png"));
  const auto again = sdg(command + " --seed 0,1");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(test::lines_of(test::read_text(folder_ / "sweep/points.jsonl")).size(), 8U);
  expect_failure(sdg("sweep --run run --interval 0.5"), 2, "--interval: expected BEGIN:END");
  expect_failure(sdg("sweep --run run --guidance abc"), 2, "--guidance");
}

TEST_F(SweepProgram, KnowsPointsByContentAndNotByPath) {
  train_run();
  test::write_tiny_data(folder_ / "one.safetensors");
  const std::string command = "sweep --run tiny=run --guidance 1.5 --count 16 --reference reference.safetensors";
  std::filesystem::copy_file(folder_ / "one.safetensors", folder_ / "reference.safetensors");
  expect_points(command, 1);
  const auto before = nlohmann::json::parse(points().back());
  expect_points(command, 1);

  // Another network at the same path and step.
  std::filesystem::remove_all(folder_ / "run");
  train_run("--set seed=1");
  expect_points(command, 2);
  const auto retrained = nlohmann::json::parse(points().back());
  EXPECT_EQ(retrained.at("checkpoint"), before.at("checkpoint"));
  EXPECT_NE(retrained.at("value"), before.at("value"));

  // The same network elsewhere.
  std::filesystem::rename(folder_ / "run", folder_ / "moved");
  expect_points("sweep --run tiny=moved --guidance 1.5 --count 16 --reference reference.safetensors", 2);

  // Another reference of the same name, size and number of images.
  auto file = tensors::read_tensors(folder_ / "one.safetensors");
  file.tensors.at("images") = file.tensors.at("images").bitwise_xor(255);
  tensors::write_tensors(folder_ / "reference.safetensors", file);
  expect_points("sweep --run tiny=moved --guidance 1.5 --count 16 --reference reference.safetensors", 3);
  EXPECT_NE(nlohmann::json::parse(points().back()).at("value"), retrained.at("value"));
}

TEST_F(SweepProgram, CountsEachSettingAndEachNetworkOnce) {
  train_run();
  const auto result =
      sdg("sweep --run a=run,./run/ --guidance 1,1.0,1e0 --steps 2,2 --interval 0:1,0.0:1.0 --count 16");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(points().size(), 1U);
  EXPECT_THAT(result.err, HasSubstr("counted once"));
  EXPECT_THAT(result.out, Not(HasSubstr("mean of")));
}

TEST_F(SweepProgram, PointsThatFailAreNotStoredAndDoNotStopTheOthers) {
  train_run();
  expect_points("sweep --run run --guidance 1 --count 16", 1);
  // A line of an earlier version, which stored failures.
  auto failed = nlohmann::json::parse(points().back());
  failed["value"] = nullptr;
  auto text = test::read_text(folder_ / "sweep/points.jsonl");
  test::write_text(folder_ / "sweep/points.jsonl", failed.dump() + "\n" + text);
  const auto result = sdg("sweep --run run --guidance 1 --count 16");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("points.jsonl:1: a point that failed is left out"));
  EXPECT_EQ(points().size(), 1U);

  auto file = tensors::read_tensors(last());
  for (auto& [name, tensor] : file.tensors)
    if (name.rfind("ema.", 0) == 0 && tensor.is_floating_point()) tensor = tensor.clone().fill_(1e30);
  tensors::write_tensors(folder_ / "large.safetensors", file);
  const auto some = sdg("sweep --run bad=large.safetensors --run good=run --guidance 1 --count 16");
  EXPECT_EQ(some.code, 1);
  EXPECT_THAT(some.err, HasSubstr("large.safetensors: not measured: image 0 is not finite"));
  EXPECT_THAT(some.out, HasSubstr("| good |"));
  EXPECT_EQ(points().size(), 1U);
}

TEST_F(SweepProgram, ANetworkWithoutConditionsHasOnePointForEveryGuidance) {
  train_run("--set condition.source=none");
  const auto result = sdg("sweep --run run --guidance 1,2,3 --interval 0:1,0.2:1 --count 16");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(points().size(), 1U);
  EXPECT_THAT(result.err, HasSubstr("guidance changes nothing"));
}
