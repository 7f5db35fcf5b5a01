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

network::Machine on(int64_t gpus, const std::string& card = "", double tflops = 0) {
  return {gpus, card, tflops};
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
  EXPECT_THAT(refusal({"condition.token=centroid", "train.teacher=change"}), HasSubstr("condition.token: centroid"));
  EXPECT_THAT(refusal({"train.bacth=3"}), HasSubstr("did you mean train.batch"));
}

TEST(RunConfig, CentroidsThatNobodyTellsAreSaid) {
  std::vector<std::string> warnings;
  log::set_sink([&](log::Level, std::string_view message) { warnings.emplace_back(message); });
  const auto load = [](const std::vector<std::string>& more) {
    std::vector<std::string> all{"condition.token=centroid"};
    all.insert(all.end(), more.begin(), more.end());
    recipe::load_config(SDG_SOURCE_DIR "/configs/digits.yaml", all);
  };
  load({});
  load({"condition.source=label"});
  load({"condition.source=file", "condition.file=x.safetensors", "condition.told=centroid"});
  EXPECT_TRUE(warnings.empty());
  load({"condition.source=recluster"});
  load({"condition.token=embedding", "condition.source=file", "condition.file=x.safetensors"});
  log::set_sink({});
  ASSERT_EQ(warnings.size(), 2U);
  EXPECT_THAT(warnings[1], HasSubstr("condition.token: embedding is for condition.source online"));
  EXPECT_THAT(warnings[1], HasSubstr("condition.told=feat"));
  EXPECT_THAT(warnings[0], HasSubstr("condition.token: centroid is for condition.source online"));
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

TEST(RunConfig, FilesThatARunNeedsLaterAreRememberedByTheirWholePath) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "ids.txt", "0\n");
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const auto config = recipe::load_config(
      SDG_SOURCE_DIR "/configs/digits.yaml",
      {"condition.source=file", "condition.file=ids.txt", "eval.reference=./ids.txt", "align.weights=not/there"});
  std::filesystem::current_path(here);
  EXPECT_EQ(config.condition.file, (folder / "ids.txt").string());
  EXPECT_EQ(config.eval.reference, (folder / "ids.txt").string());
  EXPECT_EQ(config.align.weights, "not/there") << "what is not there is said by whoever opens it, as it was written";
}

TEST(Cost, OfMemoryFollowsWhatIsAtOnce) {
  auto config = test::tiny_config("none.safetensors", "none");
  config.train.batch = 64;
  const auto whole = network::estimate_cost(config, on(1)), eight = network::estimate_cost(config, on(8));
  EXPECT_EQ(whole.at_once, 64);
  EXPECT_EQ(eight.at_once, 8);
  EXPECT_EQ(whole.activation_bytes, 8 * eight.activation_bytes);
  EXPECT_EQ(whole.state_bytes, eight.state_bytes);
  EXPECT_EQ(whole.step_flop, eight.step_flop);
  // Eighths of two moments and of the average; where steps look through the average, of the moments alone.
  auto sharded = config;
  sharded.train.shard_state = true;
  const auto bytes = 4 * eight.parameters, eighth = (bytes + 7) / 8;
  EXPECT_EQ(network::estimate_cost(sharded, on(8)).state_bytes, 2 * bytes + 3 * eighth);
  EXPECT_THAT(to_text(network::estimate_cost(sharded, on(8))),
              HasSubstr("; train.shard_state saves 1 MiB of optimizer and average"));
  EXPECT_EQ(network::estimate_cost(sharded, on(1)).state_bytes, 5 * bytes);
  test::named(sharded.condition.source, "online");
  const auto online = network::estimate_cost(sharded, on(8));
  EXPECT_EQ(online.unsharded_bytes - online.state_bytes, 8 * online.parameters - 2 * ((4 * online.parameters + 7) / 8));
  config.train.micro_batch = 4;
  EXPECT_EQ(network::estimate_cost(config, on(8)).at_once, 4);
  config.train.precision = Precision::kBf16;
  const auto bf16 = network::estimate_cost(config, on(8));
  EXPECT_EQ(bf16.cast_bytes, 2 * bf16.parameters);
  EXPECT_EQ(bf16.activation_bytes * 4, eight.activation_bytes);
}

// The arithmetic of U-ViT-L/2: 76.4 G multiply-adds a pass at 256 tokens, trained with every block computed twice.
TEST(Cost, OfTimeIsFlopOverSpeed) {
  auto config = recipe::load_config(SDG_SOURCE_DIR "/configs/imagenet256.yaml", {"condition.source=none"});
  const auto cost = network::estimate_cost(config, on(8, "", 200));
  EXPECT_NEAR(cost.step_flop / (1024 * 8 * 76.4e9), 1, 0.02);
  EXPECT_NEAR(cost.days, cost.step_flop * 300000 / (8 * 200e12) / 86400, 1e-9);
  EXPECT_THAT(to_text(cost), HasSubstr("days on 8 ranks of 200 TFLOP/s"));
  config.train.precision = Precision::kBf16;
  const auto card = network::estimate_cost(config, on(8, "a100"));
  EXPECT_NEAR(card.tflops, 312 * network::kReached, 1e-9);
  EXPECT_THROW(network::estimate_cost(config, on(0, "abacus")), UsageError);
  EXPECT_EQ(network::estimate_cost(config).days, 0);
}

TEST(Cost, OfClusteringShrinksWithTheShareThatIsLookedAt) {
  auto config = test::tiny_config("none.safetensors");
  const auto step = [&](double refresh) {
    config.cluster.refresh = refresh;
    return network::estimate_cost(config).step_flop;
  };
  const auto plain = network::estimate_cost(test::tiny_config("none.safetensors", "none")).step_flop;
  EXPECT_NEAR((step(0.25) - plain) / (step(1) - plain), 0.25, 0.02);
}

TEST(Cost, KnowsConditionsFromAFile) {
  auto config = test::tiny_config("none.safetensors", "file");
  auto vectors = std::make_shared<network::StoredConditions>();
  vectors->values = at::zeros({40, 16});
  const auto with = network::estimate_cost(config, {}, {0, vectors});
  const auto network = network::build_network(config, 0, at::kCPU, vectors);
  EXPECT_EQ(with.parameters, model::parameter_count(*network.model));
  EXPECT_EQ(network::estimate_cost(config, {}, {9, nullptr}).parameters -
                network::estimate_cost(config, {}, {4, nullptr}).parameters,
            5 * 16);
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
