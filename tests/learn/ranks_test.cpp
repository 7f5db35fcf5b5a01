// A global batch, divided among ranks in any way, trains to the weights of one rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <numeric>

#include "sdg/core/rng.h"
#include "sdg/learn/learner.h"
#include "sdg/learn/own_images.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

constexpr int64_t kBatch = 12, kImages = 40, kSteps = 20;

data::Batch batch_of(int64_t step) {
  data::Batch batch;
  batch.sample = rng::consecutive(kBatch * step, kBatch);
  for (const auto sample : batch.sample) batch.index.push_back(sample % kImages);
  batch.x = rng::normal({3, rng::Purpose::kTest, 0}, batch.sample, {1, 8, 8});
  return batch;
}

// Rows of a rank that follow each other, as many as the division says; an empty one deals out shards in turn.
std::vector<int64_t> rows_of(const std::vector<int64_t>& division, const Reducer& reducer) {
  if (division.empty()) return learn::own_images(kBatch, 3, at::kCPU, reducer);
  const auto first = std::accumulate(division.begin(), division.begin() + reducer.rank(), int64_t{0});
  return rng::consecutive(first, division[static_cast<size_t>(reducer.rank())]);
}

data::Batch share(const data::Batch& all, const std::vector<int64_t>& division, const Reducer& reducer) {
  const auto rows = rows_of(division, reducer);
  const auto part = [&](const std::vector<int64_t>& list) {
    std::vector<int64_t> out;
    for (const auto row : rows) out.push_back(list[static_cast<size_t>(row)]);
    return out;
  };
  return {all.x.index_select(0, at::tensor(rows, at::kLong)), part(all.index), part(all.sample)};
}

recipe::RunConfig config_of(const std::string& views) {
  auto config = test::tiny_config("unused");
  test::named(config.cluster.views, views);
  config.train.batch = kBatch;
  config.train.steps = kSteps;
  config.cluster.queue = 20;
  config.cluster.window_begin = 0.5;
  return config;
}

struct Trained {
  tensors::TensorFile state;
  std::vector<Tensor> ids;  // of each step, of all ranks
  std::vector<double> objectives;
};

Trained train(const recipe::RunConfig& config, const std::vector<int64_t>& division, Reducer& reducer) {
  const bool labels = config.condition.source == recipe::Source::kLabel;
  const auto table = labels ? at::arange(kImages, at::kLong) % 4 : Tensor();
  learn::Learner learner(config, at::kCPU, table, labels ? 4 : 0, kImages, reducer);
  Trained out;
  for (int64_t step = 0; step < kSteps; ++step) {
    const auto result = learner.step(share(batch_of(step), division, reducer));
    if (result.ids.defined()) {  // of all ranks, in the order of the batch
      const auto rows = reducer.all_gather(at::tensor(rows_of(division, reducer), at::kLong));
      const auto ids = reducer.all_gather(result.ids);
      out.ids.push_back(at::empty_like(ids).index_copy_(0, rows, ids));
    }
    out.objectives.push_back(result.objective);
  }
  learner.gather_state();
  if (reducer.rank() == 0 || !config.train.shard_state) learner.save(out.state);
  return out;
}

// Ranks with whole shards of 3 images: not a bit may differ, however they are dealt out and whoever keeps what.
void expect_the_same_bits(recipe::RunConfig config) {
  const auto one = train(config, {kBatch}, Reducer::local());
  const std::vector<std::pair<int64_t, std::vector<int64_t>>> ways{
      {2, {}}, {3, {}}, {4, {}}, {2, {6, 6}}, {2, {9, 3}}, {3, {3, 6, 3}}, {4, {3, 3, 3, 3}}};
  for (const bool sharded : {false, true}) {
    config.train.shard_state = sharded;
    for (const auto& [ranks, division] : ways) {
      test::on_ranks(ranks, [&, &way = division](Reducer& reducer) {
        const auto got = train(config, way, reducer);
        EXPECT_EQ(got.objectives, one.objectives);
        ASSERT_EQ(got.ids.size(), one.ids.size());
        for (size_t step = 0; step < one.ids.size(); ++step)
          EXPECT_TRUE(at::equal(got.ids[step], one.ids[step])) << step;
        if (sharded && reducer.rank() > 0) return;  // has not all to save
        ASSERT_EQ(got.state.tensors.size(), one.state.tensors.size());
        for (const auto& [name, expected] : one.state.tensors)
          EXPECT_TRUE(test::same_bytes(got.state.tensors.at(name), expected))
              << name << ", " << reducer.ranks() << (sharded ? ", sharded" : "");
        EXPECT_EQ(got.state.metadata, one.state.metadata);
      });
    }
  }
}

// Elsewhere sums are rounded otherwise. The bias before the head's BatchNorm has a gradient of nothing but rounding,
// 1e-8 or so, of which AdamW makes full steps at its usual eps; the averaged head, in eval mode, shows them. A larger
// eps leaves rounding small.
void expect_the_same_training(recipe::RunConfig config, const std::vector<std::vector<int64_t>>& divisions,
                              int64_t worth_gathering = 0) {
  expect_the_same_bits(config);
  config.train.eps = 1e-4;
  config.train.shard_state = false;
  const auto one = train(config, {kBatch}, Reducer::local());
  for (const auto& division : divisions) {
    test::on_ranks(static_cast<int64_t>(division.size()), [&](Reducer& reducer) {
      reducer.worth_gathering = worth_gathering;
      const auto got = train(config, division, reducer);
      ASSERT_EQ(got.ids.size(), one.ids.size());
      for (size_t step = 0; step < one.ids.size(); ++step) EXPECT_TRUE(at::equal(got.ids[step], one.ids[step])) << step;
      for (size_t step = 0; step < kSteps; ++step)
        EXPECT_NEAR(got.objectives[step], one.objectives[step], 1e-4) << step;
      ASSERT_EQ(got.state.tensors.size(), one.state.tensors.size());
      for (const auto& [name, expected] : one.state.tensors) {
        const auto& tensor = got.state.tensors.at(name);
        if (!at::isFloatingType(expected.scalar_type()) || name == "prior") {
          EXPECT_TRUE(at::equal(tensor, expected)) << name << ", " << reducer.ranks() << " ranks";
        } else {
          const auto scale = std::max(1.0, expected.abs().max().item<double>());  // sums over many rows are not near 1
          const double rounding = expected.scalar_type() == at::kHalf ? 1e-3 : 1e-5;  // half a place of either
          EXPECT_LT((tensor - expected).abs().max().item<double>(), rounding * scale)
              << name << ", " << reducer.ranks() << " ranks";
        }
        // State is the same on all ranks, or they would part from each other.
        if (expected.scalar_type() == at::kFloat)
          EXPECT_TRUE(at::equal(reducer.broadcast(tensor.contiguous().clone()), tensor)) << name;
      }
      EXPECT_EQ(got.state.metadata, one.state.metadata);
    });
  }
}

const std::vector<std::vector<int64_t>> kDivisions{{6, 6}, {1, 11}, {4, 4, 4}, {5, 1, 4, 2}};

}  // namespace

TEST(LearnerRanks, WithoutConditions) {
  expect_the_same_training(test::tiny_config("unused", "none"), kDivisions);
}

TEST(LearnerRanks, WithLabels) {
  expect_the_same_training(test::tiny_config("unused", "label"), kDivisions);
}

TEST(LearnerRanks, WithTwoViewsAndAQueue) {
  expect_the_same_training(config_of("two"), kDivisions);
  expect_the_same_training(config_of("two"), kDivisions, 1 << 20);
}

TEST(LearnerRanks, WithCentroidsAsConditions) {
  auto config = config_of("two");
  test::named(config.condition.token, "centroid");
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}}, 1 << 20);
}

TEST(LearnerRanks, WithImagesToldTheirEmbeddings) {
  auto config = config_of("two");
  config.cluster.end = 0.7;
  test::named(config.condition.token, "embedding");
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}}, 1 << 20);
}

TEST(LearnerRanks, WithARefreshedShare) {
  auto config = config_of("two");
  config.cluster.refresh = 0.25;
  expect_the_same_training(config, {{6, 6}, {1, 11}, {5, 1, 4, 2}});
}

TEST(LearnerRanks, WithClustersThatRest) {
  auto config = config_of("two");
  config.cluster.end = 0.5;
  test::named(config.condition.token, "centroid");
  expect_the_same_training(config, {{6, 6}, {1, 11}, {5, 1, 4, 2}});
}

// Of few images in the window most ranks have none at some step, and some steps have none at all.
TEST(LearnerRanks, WithOneViewInANarrowWindow) {
  auto config = config_of("one");
  config.cluster.window_begin = 0.8;
  config.cluster.window_end = 0.95;
  for (const std::string averaging : {"batch", "window"}) {
    test::named(config.cluster.averaging, averaging);
    expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
  }
  test::named(config.cluster.balance, "batch");
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
}

TEST(LearnerRanks, WithGradientsIntoTheBackbone) {
  for (const std::string views : {"one", "two"}) {
    auto config = config_of(views);
    config.cluster.backbone = 0.5;
    config.train.lr = 1e-4;
    expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
  }
}

TEST(LearnerRanks, WithClustersOfPatches) {
  auto config = config_of("two");
  test::named(config.cluster.level, "patch");
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
}

// Images are compared within shards: a division between shards changes nothing.
TEST(LearnerRanks, WithTheDispersiveLoss) {
  auto config = test::tiny_config("unused", "none");
  config.train.dispersive = 0.5;
  expect_the_same_training(config, {{6, 6}, {3, 9}, {3, 3, 3, 3}});
}

TEST(LearnerRanks, WithAnInnerHead) {
  auto config = test::tiny_config("unused", "none");
  config.guided.inner = 0;
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
}

TEST(LearnerRanks, WithFeaturesAlignedWithTheAverage) {
  auto config = test::tiny_config("unused", "label");
  config.align.extractor = "self";
  config.align.hidden = 8;
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
}

// Of mg steps look through the average: all ranks keep it.
TEST(LearnerRanks, WithGuidanceThatIsLearned) {
  for (const std::string learn : {"gft", "mg"}) {
    for (const std::string source : {"label", "online"}) {
      auto config = source == "online" ? config_of("two") : test::tiny_config("unused", source);
      test::named(config.guided.learn, learn);
      config.condition.drop = 0.4;
      expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
    }
  }
}

TEST(LearnerRanks, BeginsConditionsOnAllRanksInOneStep) {
  auto config = config_of("two");
  config.condition.change = 0.9;
  config.condition.stable = 0.05;
  expect_the_same_training(config, {{6, 6}, {5, 1, 4, 2}});
}

TEST(LearnerRanks, AStepThatIsNotFiniteOnOneRankIsUndoneOnAll) {
  for (const int64_t bad : {0, 2}) {
    test::on_ranks(3, [&](Reducer& reducer) {
      learn::Learner learner(config_of("two"), at::kCPU, {}, 0, kImages, reducer);
      const std::vector<int64_t> division{4, 4, 4};
      for (int64_t step = 0; step < 5; ++step) learner.step(share(batch_of(step), division, reducer));
      tensors::TensorFile before, after;
      learner.save(before);
      for (auto& item : before.tensors) item.second = item.second.clone();
      auto batch = share(batch_of(5), division, reducer);
      if (reducer.rank() == bad) batch.x = batch.x * NAN;
      EXPECT_THAT(test::message_of<learn::BadStep>([&] { learner.step(batch); }),
                  testing::HasSubstr("the flow loss is nan (the training data itself holds numbers"));
      learner.save(after);
      for (const auto& [name, tensor] : before.tensors) EXPECT_TRUE(test::same_bytes(tensor, after.at(name))) << name;
      learner.step(share(batch_of(5), division, reducer));  // and goes on
    });
  }
}

TEST(LearnerRanks, ARankWithoutImagesIsAnErrorOfAll) {
  test::on_ranks(3, [](Reducer& reducer) {
    learn::Learner learner(config_of("two"), at::kCPU, {}, 0, kImages, reducer);
    EXPECT_EQ(test::message_of<Error>([&] { learner.step(share(batch_of(0), {6, 0, 6}, reducer)); }),
              "a step's batch of 12 images leaves one of 3 ranks without any; use a larger batch");
  });
}

TEST(LearnerRanks, HaveWholeShardsInTurnWhereThereAreEnough) {
  const auto rows = [](int64_t batch, int64_t shard, int64_t ranks) {
    std::vector<std::vector<int64_t>> out(static_cast<size_t>(ranks));
    test::on_ranks(ranks, [&](Reducer& reducer) {
      out[static_cast<size_t>(reducer.rank())] = learn::own_images(batch, shard, at::kCPU, reducer);
    });
    return out;
  };
  using Rows = std::vector<std::vector<int64_t>>;
  EXPECT_EQ(rows(8, 2, 2), (Rows{{0, 1, 4, 5}, {2, 3, 6, 7}}));
  EXPECT_EQ(rows(7, 2, 3), (Rows{{0, 1, 6}, {2, 3}, {4, 5}}));
  EXPECT_EQ(rows(5, 8, 2), (Rows{{0, 1, 2}, {3, 4}})) << "one shard for two";
  EXPECT_EQ(rows(5, 2, 1), (Rows{{0, 1, 2, 3, 4}}));
  EXPECT_THAT(test::message_of<UsageError>([&] { rows(2, 32, 3); }), testing::HasSubstr("train.batch: 2 images for 3"));
}

// Fewer shards than ranks: each adds up its own images, and gradients go while the pass fills the rest (without
// train.shard_state) or after it (with).
TEST(LearnerRanks, WithoutWholeShardsTrainAsOneWithinRounding) {
  for (auto config : {test::tiny_config("unused", "label"), config_of("two")}) {
    config.train.batch = kBatch;
    config.train.eps = 1e-4;
    const auto one = train(config, {kBatch}, Reducer::local());
    test::on_ranks(5, [&](Reducer& reducer) {
      ASSERT_FALSE(learn::in_whole_shards(kBatch, config.train.shard, at::kCPU, reducer.ranks()));
      auto sharded = config;
      sharded.train.shard_state = true;
      const auto got = train(config, {}, reducer), other = train(sharded, {}, reducer);
      EXPECT_EQ(got.objectives, other.objectives);
      for (const auto& [name, expected] : one.state.tensors) {
        const auto& tensor = got.state.tensors.at(name);
        if (reducer.rank() == 0) EXPECT_TRUE(test::same_bytes(tensor, other.state.tensors.at(name))) << name;
        if (!at::isFloatingType(expected.scalar_type())) continue;
        const auto scale = std::max(1.0, expected.abs().max().item<double>());
        EXPECT_LT((tensor - expected).abs().max().item<double>(), 1e-5 * scale) << name;
      }
    });
  }
}

// With clip the norm of the whole gradient counts, of which a rank has a part.
TEST(LearnerRanks, WithShardedStateClipAndStepAsWithout) {
  auto config = test::tiny_config("unused", "none");
  config.train.batch = kBatch;
  config.train.clip = 1e-2;
  config.train.weight_decay = 0.1;
  expect_the_same_bits(config);
}

TEST(LearnerRanks, WithShardedStateKeepPartsAndGiveTheAverageWhenAsked) {
  auto config = test::tiny_config("unused", "none");
  config.train.batch = kBatch;
  config.train.shard_state = true;
  test::on_ranks(3, [&](Reducer& reducer) {
    learn::Learner learner(config, at::kCPU, {}, 0, kImages, reducer);
    EXPECT_NO_THROW(learner.teacher());
    learner.step(share(batch_of(0), {}, reducer));
    EXPECT_THAT(test::message_of<Error>([&] { learner.teacher(); }), testing::HasSubstr("gather_teacher() first"));
    tensors::TensorFile file;
    EXPECT_THROW(learner.save(file), Error);
    learner.gather_teacher(true);
    const auto average = learner.teacher().tensors("");
    for (const auto& [name, tensor] : average) {
      EXPECT_TRUE(at::equal(reducer.broadcast(tensor.contiguous().clone()), tensor)) << name;
    }
    EXPECT_EQ(learner.step(share(batch_of(1), {}, reducer)).gradient.size(0), learner.stepped().size());
    learner.gather_state();
    if (reducer.rank() > 0) {
      EXPECT_THROW(learner.save(file), Error);
    } else {
      EXPECT_NO_THROW(learner.save(file));
    }
  });
}

// Online clustering looks through the average in every step: all ranks keep it.
TEST(LearnerRanks, WithShardedStateKeepTheAverageThatStepsLookThrough) {
  auto config = config_of("two");
  config.train.shard_state = true;
  test::on_ranks(2, [&](Reducer& reducer) {
    learn::Learner learner(config, at::kCPU, {}, 0, kImages, reducer);
    learner.step(share(batch_of(0), {}, reducer));
    EXPECT_NO_THROW(learner.teacher());
  });
}

TEST(LearnerRanks, WithShardedStateABadStepNamesTheSameOnAll) {
  auto config = test::tiny_config("unused", "none");
  config.train.batch = kBatch;
  config.train.shard_state = true;
  config.train.lr = 1;
  config.train.clip = 0;
  config.train.eps = 0;  // 0 / 0 where a gradient is zero
  std::string first;
  std::mutex mutex;
  test::on_ranks(2, [&](Reducer& reducer) {
    learn::Learner learner(config, at::kCPU, {}, 0, kImages, reducer);
    const auto before = learner.student().tensors("");
    std::map<std::string, Tensor> kept;
    for (const auto& [name, tensor] : before) kept[name] = tensor.clone();
    auto batch = share(batch_of(0), {}, reducer);
    batch.x = batch.x * 0 + 3e30;
    const auto message = test::message_of<learn::BadStep>([&] { learner.step(batch); });
    for (const auto& [name, tensor] : learner.student().tensors(""))
      EXPECT_TRUE(test::same_bytes(tensor, kept.at(name))) << name;
    const std::lock_guard lock(mutex);
    if (first.empty()) first = message;
    EXPECT_EQ(message, first);
    EXPECT_FALSE(message.empty());
  });
}
