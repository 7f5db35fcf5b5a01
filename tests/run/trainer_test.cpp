#include "sdg/run/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "cli/program.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/config/write.h"
#include "sdg/core/error.h"
#include "sdg/generate/generate.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_same_tensors;
using test::figures;
using test::tiny_config;
using test::train_quietly;
using ::testing::HasSubstr;

namespace {

Tensor weights(const std::filesystem::path& run) {
  const auto file = tensors::read_tensors(checkpoint::RunFolder(run).last());
  std::vector<Tensor> all;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.rfind("model.", 0) == 0) all.push_back(tensor.to(at::kFloat).reshape({-1}));
  }
  return at::cat(all);
}

class Training : public ::testing::Test {
 protected:
  Training() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }
  std::filesystem::path last(const std::string& run) const { return checkpoint::RunFolder(folder_ / run).last(); }

  const test::TemporaryFolder folder_;
  const std::filesystem::path data_;
};

class TrainingWithSource : public Training, public ::testing::WithParamInterface<const char*> {};

}  // namespace

TEST_P(TrainingWithSource, TwiceTheSameRunIsTheSameBitForBit) {
  const auto config = tiny_config(data_, GetParam());
  EXPECT_TRUE(train_quietly(config, folder_ / "a").finished);
  train_quietly(config, folder_ / "b");
  expect_same_tensors(last("a"), last("b"));
  EXPECT_EQ(figures(folder_ / "a"), figures(folder_ / "b"));
  EXPECT_THAT(figures(folder_ / "a"), HasSubstr("\"step\":10"));
}

TEST_P(TrainingWithSource, ADifferentSeedIsADifferentRun) {
  auto config = tiny_config(data_, GetParam());
  train_quietly(config, folder_ / "a");
  config.seed = 1;
  train_quietly(config, folder_ / "b");
  EXPECT_FALSE(test::same_bytes(weights(folder_ / "a"), weights(folder_ / "b")));
}

TEST_P(TrainingWithSource, AStoppedRunGoesOnAsIfItHadNeverStopped) {
  const auto config = tiny_config(data_, GetParam());
  train_quietly(config, folder_ / "whole");
  for (const int64_t k : {1, 3, 4, 5, 9}) {  // guidance begins after step 4, checkpoints come every 3
    const auto run = "stopped" + std::to_string(k);
    const auto stopped = train_quietly(config, folder_ / run, k);
    EXPECT_FALSE(stopped.finished);
    EXPECT_EQ(stopped.step, k);
    const auto resumed = train_quietly(config, folder_ / run);
    EXPECT_TRUE(resumed.resumed);
    EXPECT_TRUE(resumed.finished);
    SCOPED_TRACE(run);
    expect_same_tensors(last("whole"), last(run));
    EXPECT_EQ(figures(folder_ / "whole"), figures(folder_ / run));
  }
}

INSTANTIATE_TEST_SUITE_P(Sources, TrainingWithSource, ::testing::Values("none", "label", "online", "recluster"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(Training, GuidanceThatIsLearnedGoesOnAsIfItHadNeverStopped) {
  for (const auto& [learn, source, inner] : std::vector<std::tuple<std::string, std::string, int64_t>>{
           {"gft", "online", -1}, {"mg", "online", 1}, {"none", "none", 0}}) {
    auto config = tiny_config(data_, source);
    if (learn == "none") config.align.extractor = "self";
    test::named(config.guided.learn, learn);
    config.guided.inner = inner;
    const auto name = learn + source;
    train_quietly(config, folder_ / name);
    for (const int64_t k : {3, 4, 7}) {
      const auto run = name + std::to_string(k);
      train_quietly(config, folder_ / run, k);
      EXPECT_TRUE(train_quietly(config, folder_ / run).resumed);
      SCOPED_TRACE(run);
      expect_same_tensors(last(name), last(run));
      EXPECT_EQ(figures(folder_ / name), figures(folder_ / run));
    }
    if (inner >= 0) EXPECT_THAT(figures(folder_ / name), HasSubstr("\"inner_loss\":"));
  }
}

TEST_F(Training, ARunStoppedTwiceAndRunAgainWhenFinishedStaysTheSame) {
  const auto config = tiny_config(data_);
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "run", 2);
  train_quietly(config, folder_ / "run", 7);
  train_quietly(config, folder_ / "run");
  const auto bytes = test::read_text(last("run"));
  const auto again = train_quietly(config, folder_ / "run");
  EXPECT_TRUE(again.finished);
  EXPECT_EQ(again.step, 10);
  EXPECT_EQ(test::read_text(last("run")), bytes);
  expect_same_tensors(last("whole"), last("run"));
}

TEST_F(Training, TheNumberOfThreadsDoesNotChangeTheRun) {
  // The pool of threads belongs to the process, so the program is run twice.
  for (const auto* source : {"label", "online"}) {
    auto config = tiny_config(data_, source);
    test::write_text(folder_ / "tiny.yaml", config::to_yaml(config::Fields::of(config)));
    for (const auto* threads : {"1", "2", "5"}) {
      const auto run = std::string(source) + threads;
      const auto result = test::run_program(folder_.path(), "train --config tiny.yaml --run " + run,
                                            std::string("OMP_NUM_THREADS=") + threads);
      ASSERT_EQ(result.code, 0) << result.err;
    }
    for (const auto* threads : {"2", "5"}) {
      SCOPED_TRACE(std::string(source) + threads);
      expect_same_tensors(last(std::string(source) + "1"), last(std::string(source) + threads));
    }
  }
}

TEST_F(Training, WithoutLabelsAsTheConditionLabelsCannotMatter) {
  test::write_tiny_data(folder_ / "other.safetensors", 1);
  for (const auto* source : {"none", "online", "label"}) {
    const std::string name = source;
    train_quietly(tiny_config(data_, source), folder_ / (name + "-a"));
    train_quietly(tiny_config(folder_ / "other.safetensors", source), folder_ / (name + "-b"));
    EXPECT_EQ(test::same_bytes(weights(folder_ / (name + "-a")), weights(folder_ / (name + "-b"))), name != "label")
        << name;
    if (name != "label") expect_same_tensors(last(name + "-a"), last(name + "-b"));
  }
}

TEST_F(Training, ClustersOfAFinishedRunGuideAnother) {
  train_quietly(tiny_config(data_, "none"), folder_ / "first");
  auto config = tiny_config(data_, "kmeans");
  config.condition.run = (folder_ / "first").string();
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "stopped", 5);
  train_quietly(config, folder_ / "stopped");
  expect_same_tensors(last("whole"), last("stopped"));
  const auto ids = tensors::read_tensors(folder_.path() / "whole" / "pseudo_labels.safetensors").at("ids");
  EXPECT_EQ(ids.numel(), 40);
  EXPECT_GE(ids.min().item<int64_t>(), 0);
  EXPECT_LT(ids.max().item<int64_t>(), 4);
}

TEST_F(Training, MoreClustersThanImagesAreRefused) {
  auto config = tiny_config(data_);
  config.cluster.clusters = 41;
  EXPECT_THAT(test::message_of<UsageError>([&] { train_quietly(config, folder_ / "run"); }),
              HasSubstr("41 clusters of a data set of 40 images"));
}

TEST_F(Training, TheHeadRestsUntilItsStart) {
  auto config = tiny_config(data_);
  config.cluster.start = 0.3;
  train_quietly(config, folder_ / "early", 3);
  train_quietly(config, folder_ / "late", 4);
  auto never = config;
  never.cluster.start = 0.4;
  train_quietly(never, folder_ / "never", 4);
  const auto at = [&](const std::string& run, const std::string& name) {
    return tensors::read_tensors(last(run)).at(name).clone();
  };
  const std::string head = "model.projection_head.0.weight", average = "ema.projection_head.0.weight";
  EXPECT_TRUE(test::same_bytes(at("early", head), at("never", head)));
  EXPECT_TRUE(test::same_bytes(at("early", average), at("never", average)));
  EXPECT_FALSE(test::same_bytes(at("early", head), at("late", head)));
  EXPECT_FALSE(test::same_bytes(at("early", average), at("late", average)));
}

TEST_F(Training, WeightsThatAreNotFiniteAreNotSaved) {
  auto config = tiny_config(data_);
  config.train.eps = 0;  // weights without a gradient become 0/0 in the very last step before the save
  config.train.steps = 1;
  config.train.warmup = 0;
  EXPECT_THROW(train_quietly(config, folder_ / "run"), Error);
  EXPECT_FALSE(std::filesystem::exists(last("run")));
}

TEST_F(Training, AtPatchLevelEveryPatchHasItsClusterAndItsCondition) {
  auto config = tiny_config(data_);
  config.cluster.level = cluster::Level::kPatch;
  config.model.patch = 2;  // 16 patches
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "parts", 5);
  train_quietly(config, folder_ / "parts");
  expect_same_tensors(last("whole"), last("parts"));  // the maps for sampling are restored too

  const auto trained = checkpoint::load_trained(last("whole"), at::kCPU);
  ASSERT_EQ(trained.prior.sizes(), (Shape{8 * 10, 16}));
  generate::Request options;
  options.sample.count = 4;
  options.sample.steps = 2;
  const auto draw = [&] {
    return generate::generate(trained.info.config, trained.network, trained.prior, at::kCPU, options);
  };
  const auto drawn = draw();
  EXPECT_EQ(drawn.clusters.sizes(), (Shape{4, 16}));
  options.map = at::arange(16) % 4;
  const auto mapped = draw();
  EXPECT_TRUE(at::equal(mapped.clusters[3], options.map));
  EXPECT_FALSE(test::same_bytes(drawn.images, mapped.images));
  options.map = at::full({16}, 4, at::kLong);
  EXPECT_THROW(draw(), UsageError);
  options.map = at::zeros({15}, at::kLong);
  EXPECT_THROW(draw(), UsageError);
}

TEST_F(Training, EveryWayOfClusteringGoesOnAsIfItHadNeverStopped) {
  const std::vector<std::pair<std::string, std::function<void(recipe::RunConfig&)>>> ways{
      {"queue", [](auto& config) { config.cluster.queue = 13; }},
      {"backbone", [](auto& config) { config.cluster.backbone = 1; }},
      {"centroids", [](auto& config) { config.condition.token = recipe::Token::kCentroid; }},
      {"softmax", [](auto& config) { config.cluster.assign = cluster::Assign::kSoftmax; }},
      {"one view", [](auto& config) { config.cluster.views = cluster::Views::kOne; }},
      {"one view, whole batch",
       [](auto& config) {
         config.cluster.views = cluster::Views::kOne;
         config.cluster.balance = cluster::Balance::kBatch;
       }},
      {"one view into the backbone",
       [](auto& config) {
         config.cluster.views = cluster::Views::kOne;
         config.cluster.backbone = 0.5;
       }},
  };
  train_quietly(tiny_config(data_), folder_ / "plain");
  for (const auto& [name, change] : ways) {
    SCOPED_TRACE(name);
    auto config = tiny_config(data_);
    config.cluster.window_begin = 0.1;  // of 8 images some are always inside
    change(config);
    train_quietly(config, folder_ / (name + "-whole"));
    for (const int64_t k : {3, 7}) {
      const auto run = name + std::to_string(k);
      train_quietly(config, folder_ / run, k);
      train_quietly(config, folder_ / run);
      expect_same_tensors(last(name + "-whole"), last(run));
    }
    EXPECT_FALSE(test::same_bytes(weights(folder_ / "plain"), weights(folder_ / (name + "-whole"))));
  }
}

namespace {
int64_t change_of(const std::filesystem::path& checkpoint) {
  return std::stoll(tensors::read_tensor_header(checkpoint).metadata.at("change_step"));
}
}  // namespace

// 40 images, 8 a step: all were seen twice after 10 steps, and before that nothing is known.
TEST_F(Training, ConditionsBeginWhenClustersHoldStill) {
  auto config = tiny_config(data_);
  config.train.steps = 16;
  config.condition.change = 0.9;
  const auto run = [&](const std::string& name) {
    train_quietly(config, folder_ / name);
    return change_of(last(name));
  };
  EXPECT_EQ(run("late"), 14);
  config.condition.stable = 0.01;  // the least agreement will do
  EXPECT_EQ(run("early"), 10);
  EXPECT_TRUE(checkpoint::load_trained(last("early"), at::kCPU).prior.defined());
  EXPECT_THAT(figures(folder_ / "early"), HasSubstr("\"agreement\""));
  config.condition.stable = 1;  // never all of them, with the teacher at pure noise
  config.cluster.teacher_time = 0;
  EXPECT_EQ(run("flickering"), 14);
}

TEST_F(Training, AChangeByTheRuleGoesOnAsIfItHadNeverStopped) {
  auto config = tiny_config(data_);
  config.train.steps = 16;
  config.condition.change = 0.9;
  config.condition.stable = 0.01;
  train_quietly(config, folder_ / "whole");
  ASSERT_EQ(change_of(last("whole")), 10);
  for (const int64_t k : {9, 10, 11}) {
    const auto run = "stopped" + std::to_string(k);
    train_quietly(config, folder_ / run, k);
    train_quietly(config, folder_ / run);
    SCOPED_TRACE(run);
    expect_same_tensors(last("whole"), last(run));
    EXPECT_EQ(change_of(last(run)), 10);
  }
}

TEST_F(Training, GoingOnForMoreOrFewerStepsMovesOnlyAChangeThatHasNotCome) {
  auto config = tiny_config(data_);
  config.cluster.start = config.condition.change;  // head and conditions begin together, after 4 of 10 steps
  const auto go_on = [&](const std::string& run, int64_t first, int64_t steps) {
    auto now = config;
    train_quietly(now, folder_ / run, first);
    now.train.steps = steps;
    train_quietly(now, folder_ / run);
    return change_of(last(run));
  };
  EXPECT_EQ(go_on("came", 6, 20), 4);
  EXPECT_EQ(go_on("not yet", 2, 20), 8);
  EXPECT_EQ(go_on("too late", 3, 5), 3) << "after 40 % of 5 steps is past: at once";
  config.condition.change = config.cluster.start = 1;  // never
  EXPECT_EQ(go_on("never", 10, 20), 20);
  EXPECT_FALSE(checkpoint::load_trained(last("never"), at::kCPU).prior.defined());
}

TEST_F(Training, TheClusteringLossReachesTheBackboneOnlyWhereAsked) {
  auto config = tiny_config(data_);
  config.condition.change = 1;  // no conditions, which would carry clusters into the network
  auto heavier = config;
  heavier.cluster.weight = 30;
  heavier.train.clip = config.train.clip = 0;
  train_quietly(config, folder_ / "a");
  train_quietly(heavier, folder_ / "b");
  const auto block = [&](const std::string& run) {
    return tensors::read_tensors(last(run)).at("model.patch_embed.proj.weight").clone();
  };
  EXPECT_TRUE(test::same_bytes(block("a"), block("b")));
  config.cluster.backbone = heavier.cluster.backbone = 1;
  train_quietly(config, folder_ / "c");
  train_quietly(heavier, folder_ / "d");
  EXPECT_FALSE(test::same_bytes(block("a"), block("c")));
  EXPECT_FALSE(test::same_bytes(block("c"), block("d")));
}

TEST_F(Training, ClustersFoundAgainAndAgainAreInTheCheckpoint) {
  train_quietly(tiny_config(data_, "recluster"), folder_ / "run");
  const auto ids = tensors::read_tensors(last("run")).at("ids");
  EXPECT_EQ(ids.numel(), 40);
  EXPECT_EQ(std::get<0>(at::_unique(ids)).numel(), 4);
  const auto trained = checkpoint::load_trained(last("run"), at::kCPU);
  EXPECT_NEAR(trained.prior.sum().item<double>(), 1, 1e-9);
}
