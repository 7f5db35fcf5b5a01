#include "sdg/recipe/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/config/find.h"
#include "sdg/config/value.h"
#include "sdg/config/write.h"
#include "sdg/config/yaml.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/model/catalog.h"
#include "sdg/network/cost.h"
#include "sdg/network/network.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

std::vector<std::string> configs_of_the_tree() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(SDG_SOURCE_DIR "/configs")) {
    if (entry.path().extension() == ".yaml") out.push_back(entry.path().string());
  }
  return out;
}

std::string text_of(recipe::RunConfig config) {
  return config::to_yaml(config::Fields::of(config));
}

std::string refusal(const std::vector<std::string>& overrides) {
  return test::message_of<UsageError>([&] { recipe::load_config(SDG_SOURCE_DIR "/configs/digits.yaml", overrides); });
}

}  // namespace

TEST(RunConfig, DefaultsAreWithinTheirDeclaredRanges) {
  recipe::RunConfig config;
  EXPECT_NO_THROW(config::check_values(config::Fields::of(config)));
  EXPECT_NO_THROW(recipe::check_config(config));
}

TEST(RunConfig, EveryShippedConfigLoadsReadsBackAndCanBeCosted) {
  const auto files = configs_of_the_tree();
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    SCOPED_TRACE(file);
    recipe::RunConfig config;
    ASSERT_NO_THROW(config = recipe::load_config(file, {}));
    EXPECT_EQ(text_of(recipe::parse_config(text_of(config), "copy")), text_of(config));
    const auto cost = network::estimate_cost(config);
    EXPECT_GT(cost.parameters, 0);
    EXPECT_GT(cost.macs, 0);
    EXPECT_EQ(cost.state_bytes, 20 * cost.parameters);
    EXPECT_THAT(to_text(cost), HasSubstr("# steps per epoch"));
  }
}

TEST(RunConfig, OverridesComeLastAndInOrder) {
  const auto config =
      recipe::load_config(SDG_SOURCE_DIR "/configs/digits.yaml", {"train.steps=300", "seed=4", "train.steps=400"});
  EXPECT_EQ(config.train.steps, 400);
  EXPECT_EQ(config.seed, 4);
}

TEST(RunConfig, RulesBetweenOptionsAreChecked) {
  EXPECT_THAT(refusal({"condition.source=kmeans"}), HasSubstr("condition.run"));
  EXPECT_THAT(refusal({"cluster.window_begin=0.5", "cluster.window_end=0.5"}), HasSubstr("cluster.window_begin"));
  EXPECT_THAT(refusal({"train.bacth=3"}), HasSubstr("did you mean train.batch"));
}

TEST(RunConfig, AWarmUpLongerThanTheRunIsShortenedToItWithAWarning) {
  std::vector<std::string> warnings;
  log::set_sink([&](log::Level level, std::string_view message) {
    if (level == log::Level::kWarning) warnings.emplace_back(message);
  });
  const auto load = [](const std::string& warmup) {
    return recipe::load_config(SDG_SOURCE_DIR "/configs/digits.yaml", {"train.steps=5", "train.warmup=" + warmup});
  };
  EXPECT_EQ(load("6").train.warmup, 5);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_THAT(warnings[0], HasSubstr("train.warmup: 6 steps of warm-up are longer than the run (train.steps 5)"));
  EXPECT_EQ(load("5").train.warmup, 5);
  EXPECT_EQ(warnings.size(), 1U);
  log::set_sink({});
}

TEST(RunConfig, DataBesideTheConfigIsRememberedByItsWholePath) {
  const test::TemporaryFolder folder;
  test::write_tiny_data(folder / "mine.safetensors");
  test::write_text(folder / "mine.yaml", "data:\n  path: mine.safetensors\n");
  EXPECT_EQ(recipe::load_config((folder / "mine.yaml").string(), {}).data.path, (folder / "mine.safetensors").string());
  // What is shipped keeps its name, so that a run folder can be moved to another machine.
  EXPECT_EQ(recipe::load_config(SDG_SOURCE_DIR "/configs/digits.yaml", {}).data.path, "digits.safetensors");
}

TEST(Cost, CountsWhatTheNetworkHas) {
  const test::TemporaryFolder folder;
  test::write_tiny_data(folder / "data.safetensors");
  for (const auto* source : {"none", "label", "online"}) {
    const auto config = test::tiny_config(folder / "data.safetensors", source);
    const auto network = network::build_network(config, 4, at::kCPU);
    int64_t expected = model::parameter_count(*network.model);
    if (network.head) expected += model::parameter_count(*network.head);
    const auto cost = network::estimate_cost(config);
    EXPECT_EQ(cost.parameters, expected) << source;
    EXPECT_EQ(cost.images, 40);
    EXPECT_DOUBLE_EQ(cost.steps_per_epoch, 5);
  }
  const auto missing = network::estimate_cost(test::tiny_config(folder / "none.safetensors"));
  EXPECT_EQ(missing.images, 0);
  EXPECT_THAT(to_text(missing), HasSubstr("none.safetensors"));
}
