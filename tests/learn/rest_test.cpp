// cluster.end: clusters that rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/learn/beginnings.h"
#include "sdg/learn/learner.h"
#include "support/made_batch.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

constexpr int64_t kBatch = 12, kImages = 30;

// Every step sees 12 of the first `images` in turn.
data::Batch batch_of(int64_t step, int64_t images = kImages) {
  return test::batch_of_images(step, kBatch, images);
}

recipe::RunConfig config_of(double end, const std::string& views = "two") {
  auto config = test::tiny_config("none.safetensors");
  config.train.batch = kBatch;
  config.train.steps = 10;
  config.train.shard = 5;
  config.train.weight_decay = 0.1;
  config.condition.change = 0.5;
  config.cluster.end = end;
  config.cluster.queue = 0;
  config.cluster.window_begin = 0;
  config.cluster.window_end = 1;
  test::named(config.cluster.views, views);
  return config;
}

tensors::TensorFile state_of(const learn::Learner& learner) {
  tensors::TensorFile file;
  learner.save(file);
  for (auto& [name, tensor] : file.tensors) tensor = tensor.clone();
  return file;
}

bool of_head(const std::string& name) {
  for (const auto* part : {"projection_head", "prototypes", "members", "feature_norm"}) {
    if (name.starts_with(cat("model.", part))) return true;
  }
  return false;
}

}  // namespace

TEST(Rest, KeepsEachImagesLastClusterAndTheHead) {
  for (const std::string views : {"one", "two"}) {
    auto config = config_of(0.6, views);
    test::named(config.condition.token, "centroid");
    learn::Learner learner(config, at::kCPU, {}, 0, kImages);
    for (int64_t step = 0; step < 6; ++step) EXPECT_TRUE(learner.step(batch_of(step)).sinkhorn.has_value());
    const auto before = state_of(learner);
    for (int64_t step = 6; step < 10; ++step) {
      const auto batch = batch_of(step);
      const auto result = learner.step(batch);
      EXPECT_FALSE(result.sinkhorn.has_value()) << views;
      EXPECT_TRUE(result.conditioned);
      const auto kept = before.tensors.at("kept_clusters").squeeze(1).to(at::kLong);
      EXPECT_TRUE(at::equal(result.ids, kept.index_select(0, at::tensor(batch.index)))) << views;
    }
    const auto after = state_of(learner);
    EXPECT_TRUE(at::equal(after.tensors.at("kept_clusters"), before.tensors.at("kept_clusters")));
    int64_t of_heads = 0;
    for (const auto& [name, tensor] : before.tensors) {
      if (!of_head(name)) continue;
      EXPECT_TRUE(test::same_bytes(tensor, after.tensors.at(name))) << name << ", " << views;
      ++of_heads;
    }
    EXPECT_GT(of_heads, 5) << "tests nothing";
    EXPECT_FALSE(test::same_bytes(before.tensors.at("model.patch_embed.proj.weight"),
                                  after.tensors.at("model.patch_embed.proj.weight")));
  }
}

// A look that finds what is kept trains the network to the same bits as the rest.
TEST(Rest, TrainsTheNetworkAsTheSameClustersByALookDo) {
  int64_t compared = 0;
  for (uint64_t seed = 0; seed < 6; ++seed) {
    auto config = config_of(0.6);
    config.seed = static_cast<int64_t>(seed);
    config.cluster.clusters = 2;
    config.cluster.teacher_time = 1;  // without noise two looks differ by what was learned between them only
    config.train.lr = 1e-5;
    config.train.clip = 0;
    learn::Learner rests(config, at::kCPU, {}, 0, kImages);
    config.cluster.end = 1;
    learn::Learner looks(config, at::kCPU, {}, 0, kImages);
    for (int64_t step = 0; step < 6; ++step) {
      rests.step(batch_of(step));
      looks.step(batch_of(step));
    }
    const auto a = rests.step(batch_of(6)), b = looks.step(batch_of(6));
    if (!at::equal(a.ids, b.ids)) continue;
    ++compared;
    EXPECT_EQ(a.flow_loss, b.flow_loss);
    const auto model = rests.student().tensors("");
    for (const auto& [name, tensor] : looks.student().tensors("")) {
      if (!of_head("model." + name)) EXPECT_TRUE(test::same_bytes(tensor, model.at(name))) << name;
    }
  }
  EXPECT_GT(compared, 0) << "tests nothing";
}

TEST(Rest, LooksOnceAtAnImageThatNeverHadALook) {
  learn::Learner learner(config_of(0.6), at::kCPU, {}, 0, kImages);
  for (int64_t step = 0; step < 6; ++step) learner.step(batch_of(step, 12));
  const auto kept = [&] { return state_of(learner).tensors.at("kept_clusters").squeeze(1); };
  EXPECT_EQ(kept().ge(0).sum().item<int64_t>(), 12);
  const auto first = learner.step(batch_of(6));  // images 12 to 23
  EXPECT_GE(first.ids.min().item<int64_t>(), 0);
  EXPECT_EQ(kept().ge(0).sum().item<int64_t>(), 24);
  const auto after = kept();
  for (int64_t i = 0; i < kBatch; ++i)
    EXPECT_EQ(first.ids[i].item<int64_t>(), after[batch_of(6).index[static_cast<size_t>(i)]].item<int>());
  learner.step(batch_of(6));
  EXPECT_TRUE(at::equal(kept(), after));
}

TEST(Rest, GoesOnFromACheckpointToTheSameBits) {
  for (const std::string told : {"image", "patch", "embedding"}) {
    auto config = config_of(0.6);
    told == "embedding" ? test::named(config.condition.token, told) : test::named(config.cluster.level, told);
    for (const int64_t stop : {4, 8}) {
      learn::Learner whole(config, at::kCPU, {}, 0, kImages);
      tensors::TensorFile middle;
      for (int64_t step = 0; step < 10; ++step) {
        if (step == stop) middle = state_of(whole);
        whole.step(batch_of(step));
      }
      learn::Learner resumed(config, at::kCPU, {}, 0, kImages);
      resumed.load(middle, "the middle");
      EXPECT_EQ(resumed.teacher().rested.defined(), stop == 8);
      for (int64_t step = stop; step < 10; ++step) resumed.step(batch_of(step));
      const auto at_end = state_of(whole), resumed_end = state_of(resumed);
      for (const auto& [name, tensor] : at_end.tensors)
        EXPECT_TRUE(test::same_bytes(tensor, resumed_end.tensors.at(name))) << name << ", " << told << ", " << stop;
    }
  }
}

TEST(Rest, StaysWhereItBeganInALongerRun) {
  auto config = config_of(0.6);
  learn::Beginnings begun(config);
  EXPECT_FALSE(begun.resting(5));
  EXPECT_TRUE(begun.resting(6));
  tensors::TensorFile early, late;
  begun.save(early, 4);
  begun.save(late, 8);
  config.train.steps = 40;
  learn::Beginnings longer(config);
  longer.load(early, "early", 4);
  EXPECT_FALSE(longer.resting(23));
  EXPECT_TRUE(longer.resting(24));
  longer.load(late, "late", 8);
  EXPECT_TRUE(longer.resting(8));
  config.cluster.end = 1;
  learn::Beginnings never(config);
  never.load(late, "late", 8);
  EXPECT_FALSE(never.resting(39));
}

TEST(Rest, BeforeTheHeadLearnedIsRefused) {
  auto config = config_of(0.3);
  config.cluster.start = 0.3;
  EXPECT_THAT(test::message_of<UsageError>([&] { recipe::check_config(config); }),
              testing::HasSubstr("cluster.end: clusters can rest only after they were learned (cluster.start 0.3)"));
}
