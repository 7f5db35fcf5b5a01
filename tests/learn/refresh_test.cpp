// cluster.refresh: teacher and head look at a share of each batch.
#include <gtest/gtest.h>

#include "sdg/learn/learner.h"
#include "support/made_batch.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

constexpr int64_t kBatch = 12, kImages = 24;

data::Batch batch_of(int64_t step, int64_t images = kImages) {
  return test::batch_of_images(step, kBatch, images);
}

recipe::RunConfig config_of(double refresh, double change = 0.5) {
  auto config = test::tiny_config("none.safetensors");
  config.train.batch = kBatch;
  config.train.steps = 10;
  config.train.shard = 5;
  config.condition.change = change;
  config.cluster.refresh = refresh;
  config.cluster.queue = 0;
  return config;
}

Tensor kept(const learn::Learner& learner) {
  tensors::TensorFile file;
  learner.save(file);
  return file.tensors.at("kept_clusters").squeeze(1);
}

}  // namespace

TEST(Refresh, LooksAtThatShareEvenlySpread) {
  learn::Learner learner(config_of(0.25), at::kCPU, {}, 0, kImages);
  const auto result = learner.step(batch_of(0));
  EXPECT_EQ(result.sinkhorn->assignments.size(0), 3);
  EXPECT_FALSE(result.ids.defined()) << "not all images have a cluster yet";
  const auto has_one = kept(learner).ge(0);
  for (int64_t i = 0; i < kImages; ++i) EXPECT_EQ(has_one[i].item<bool>(), i < kBatch && i % 4 == 3) << i;
}

// Once conditions are given every image has a cluster: that of this step's look, or of its last.
TEST(Refresh, GivesTheOthersTheClusterOfTheirLastLook) {
  learn::Learner learner(config_of(0.25), at::kCPU, {}, 0, kImages);
  for (int64_t step = 0; step < 5; ++step) learner.step(batch_of(step));
  bool first_looks = false, kept_ones = false;
  for (int64_t step = 5; step < 10; ++step) {
    const auto before = kept(learner).clone();
    const auto batch = batch_of(step);
    const auto result = learner.step(batch);
    ASSERT_TRUE(result.conditioned);
    ASSERT_TRUE(result.ids.defined());
    EXPECT_GE(result.ids.min().item<int64_t>(), 0);
    const auto after = kept(learner);
    int64_t looked = 0;
    for (int64_t i = 0; i < kBatch; ++i) {
      const auto index = batch.index[static_cast<size_t>(i)];
      const auto old = before[index].item<int>();
      const bool due = batch.sample[static_cast<size_t>(i)] % 4 == 3;
      looked += due || old < 0 ? 1 : 0;
      EXPECT_EQ(result.ids[i].item<int64_t>(), after[index].item<int>());
      if (!due && old >= 0) {
        EXPECT_EQ(after[index].item<int>(), old);
        kept_ones = true;
      }
      first_looks = first_looks || (!due && old < 0);
    }
    EXPECT_EQ(result.sinkhorn->assignments.size(0), looked);
  }
  EXPECT_TRUE(first_looks && kept_ones) << "tests nothing";
}

TEST(Refresh, OfAllImagesIsAsWithoutIt) {
  auto config = config_of(1);
  learn::Learner whole(config, at::kCPU, {}, 0, kImages);
  tensors::TensorFile file;
  whole.save(file);
  EXPECT_EQ(file.tensors.count("kept_clusters"), 0U);
  EXPECT_TRUE(whole.step(batch_of(0)).ids.defined());
}

TEST(Refresh, GoesOnFromACheckpointToTheSameBits) {
  for (const std::string level : {"image", "patch"}) {
    auto config = config_of(0.3);
    test::named(config.cluster.level, level);
    learn::Learner whole(config, at::kCPU, {}, 0, kImages);
    tensors::TensorFile middle, at_end, resumed_end;
    for (int64_t step = 0; step < 10; ++step) {
      if (step == 6) {
        whole.save(middle);
        for (auto& [name, tensor] : middle.tensors) tensor = tensor.clone();
      }
      whole.step(batch_of(step));
    }
    whole.save(at_end);
    learn::Learner resumed(config, at::kCPU, {}, 0, kImages);
    resumed.load(middle, "the middle");
    for (int64_t step = 6; step < 10; ++step) resumed.step(batch_of(step));
    resumed.save(resumed_end);
    for (const auto& [name, tensor] : at_end.tensors)
      EXPECT_TRUE(test::same_bytes(tensor, resumed_end.tensors.at(name))) << name << ", " << level;
  }
}

// A share that leaves the head a single row, which has no variance, or none, trains the network all the same.
TEST(Refresh, OfTooFewImagesLeavesTheHeadAsItIs) {
  auto config = config_of(0.05, 1);
  learn::Learner learner(config, at::kCPU, {}, 0, kImages);
  const auto prototypes = [&] { return learner.student().tensors("").at("prototypes.weight").clone(); };
  const auto before = prototypes();
  const auto result = learner.step(batch_of(0));  // samples 0 … 11: none is due
  EXPECT_FALSE(result.sinkhorn.has_value());
  EXPECT_GT(result.flow_loss, 0);
  EXPECT_TRUE(at::equal(prototypes(), before));
}

TEST(Refresh, TrainsWithGradientIntoTheBackbone) {
  auto config = config_of(0.25);
  config.cluster.backbone = 1;
  learn::Learner with(config, at::kCPU, {}, 0, kImages);
  config.cluster.backbone = 0;
  learn::Learner without(config, at::kCPU, {}, 0, kImages);
  const auto a = with.step(batch_of(0)), b = without.step(batch_of(0));
  EXPECT_GT((a.gradient - b.gradient).abs().max().item<double>(), 1e-5);
}

// train.micro_batch does on a CPU what a shard does.
TEST(MicroBatch, HasTheGradientOfTheWholeBatch) {
  for (const std::string source : {"none", "online"}) {
    auto config = test::tiny_config("none.safetensors", source);
    config.train.clip = 0;
    config.train.shard = 32;
    const auto step = [&](int64_t micro_batch, int64_t shard) {
      config.train.micro_batch = micro_batch;
      config.train.shard = shard;
      return learn::Learner(config, at::kCPU, {}, 0, kImages).step(batch_of(0));
    };
    const auto whole = step(0, 32);
    for (const int64_t size : {1, 5, 7, 12}) {
      const auto parts = step(size, 32);
      EXPECT_NEAR(parts.objective, whole.objective, 1e-6);
      EXPECT_LT((parts.gradient - whole.gradient).abs().max().item<double>(), 2e-6) << source << ", " << size;
      if (source == "online") {
        EXPECT_TRUE(at::equal(parts.ids, whole.ids));
        EXPECT_LT((parts.sinkhorn->assignments - whole.sinkhorn->assignments).abs().max().item<double>(), 1e-4);
      }
      EXPECT_TRUE(at::equal(parts.gradient, step(0, size).gradient)) << "not what a shard does";
    }
  }
}
