// A step that waits for nothing, as on a device: on a CPU the same calls are counted, and what comes out is compared
// with the step that reads as it goes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "sdg/learn/learner.h"
#include "support/host_reads.h"
#include "support/made_batch.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

recipe::RunConfig config_with(const std::string& views) {
  auto config = test::tiny_config("unused");
  test::named(config.cluster.views, views);
  test::named(config.cluster.balance, "batch");
  test::named(config.condition.token, "centroid");
  config.cluster.queue = 20;
  config.cluster.window_begin = 0.1;
  return config;
}

tensors::TensorFile state_of(learn::Learner& learner) {
  learner.settle();
  tensors::TensorFile file;
  learner.save(file);
  for (auto& item : file.tensors) item.second = item.second.clone();
  return file;
}

}  // namespace

TEST(AStepThatWaitsForNothing, ReadsNoNumberFromTheDevice) {
  for (const auto* views : {"two", "one"}) {
    learn::Learner reading(config_with(views), at::kCPU, {}, 0, 40), free(config_with(views), at::kCPU, {}, 0, 40);
    free.wait_for_nothing();
    for (int64_t step = 0; step < 6; ++step) {
      const auto batch = test::made_batch(step);
      {
        const test::HostReads reads;
        reading.step(batch);
        if (step == 5)
          std::printf("[ host reads ] %s views: %d a step where it reads\n", views, static_cast<int>(reads.count()));
        EXPECT_GT(reads.count(), 5) << "the count sees nothing";
      }
      const test::HostReads reads;
      const auto result = free.step(batch);
      EXPECT_THAT(reads.by_operation(), ::testing::IsEmpty()) << views << ", step " << step;
      EXPECT_FALSE(result.flow_loss.known());
    }
    free.settle();
  }
}

TEST(AStepThatWaitsForNothing, TrainsAsTheOneThatReads) {
  for (const auto* views : {"two", "one"}) {
    learn::Learner reading(config_with(views), at::kCPU, {}, 0, 40), free(config_with(views), at::kCPU, {}, 0, 40);
    free.wait_for_nothing();
    for (int64_t step = 0; step < 20; ++step) {
      // Each step from the same state: AdamW makes whole steps of gradients that are rounding, so states drift apart.
      free.settle();
      if (step > 0) free.load(state_of(reading), "the other learner");
      const auto expected = reading.step(test::made_batch(step)), found = free.step(test::made_batch(step));
      EXPECT_NEAR(found.flow_loss, expected.flow_loss, 1e-5 * expected.flow_loss);
      EXPECT_NEAR(found.objective, expected.objective, 1e-4 * std::abs(expected.objective));
      EXPECT_NEAR(found.grad_norm, expected.grad_norm, 1e-3 * expected.grad_norm);
      EXPECT_NEAR(found.agreement, expected.agreement, 1e-12);
      ASSERT_EQ(found.ids.defined(), expected.ids.defined());
      if (found.ids.defined()) EXPECT_TRUE(at::equal(found.ids, expected.ids)) << step;
      EXPECT_NEAR(found.sinkhorn->entropy, expected.sinkhorn->entropy, 1e-5);
      EXPECT_EQ(found.sinkhorn->used_clusters, expected.sinkhorn->used_clusters);
    }
    const auto a = state_of(reading), b = state_of(free);
    EXPECT_EQ(a.metadata, b.metadata);
    for (const auto& [name, tensor] : a.tensors) {
      // BatchNorm cancels this bias: its gradient is rounding, of which AdamW makes whole steps.
      if (name.find("projection_head.0.bias") != std::string::npos || name.find("running_mean") != std::string::npos)
        continue;
      EXPECT_LE((tensor.to(at::kDouble) - b.at(name).to(at::kDouble)).abs().max().item<double>(), 2e-3) << name;
    }
    EXPECT_TRUE(at::equal(a.at("prior"), b.at("prior")));
    EXPECT_TRUE(at::equal(a.at("agreement.memory"), b.at("agreement.memory")));
  }
}

TEST(AStepThatWaitsForNothing, IsUndoneWithAllAfterItWhereItWasNotFinite) {
  for (const auto* views : {"two", "one"}) {
    learn::Learner learner(config_with(views), at::kCPU, {}, 0, 40);
    learner.wait_for_nothing();
    for (int64_t step = 0; step < 5; ++step) learner.step(test::made_batch(step));
    const auto before = state_of(learner);
    learner.step(test::made_batch(5));
    const auto good = state_of(learner);
    learner.step(test::made_batch(6));
    auto spoiled = test::made_batch(7);
    spoiled.x[2][0][1][1] = NAN;
    const auto kept = [&] {
      learn::Learner other(config_with(views), at::kCPU, {}, 0, 40);
      other.wait_for_nothing();
      for (int64_t step = 0; step < 7; ++step) other.step(test::made_batch(step));
      return state_of(other);
    }();
    learner.step(spoiled);
    learner.step(test::made_batch(8));
    learner.step(test::made_batch(9));
    EXPECT_THAT(test::message_of<learn::BadStep>([&] { learner.settle(); }),
                HasSubstr("step 8: the flow loss is not finite"));
    EXPECT_EQ(learner.steps_done(), 7);
    const auto after = state_of(learner);
    ASSERT_EQ(after.tensors.size(), kept.tensors.size());
    for (const auto& [name, tensor] : kept.tensors)
      EXPECT_TRUE(test::same_bytes(tensor, after.at(name))) << views << ": " << name;
    EXPECT_EQ(after.metadata, kept.metadata);
    EXPECT_FALSE(test::same_bytes(before.at("prior"), good.at("prior"))) << "nothing moves: tests nothing";
    learner.step(test::made_batch(7));  // and goes on
    learner.settle();
    EXPECT_EQ(learner.steps_done(), 8);
  }
}

TEST(AStepThatWaitsForNothing, SaysThatTheGradientOrTheUpdateWasNotFinite) {
  auto config = test::tiny_config("unused");
  config.train.eps = 0;  // weights that never get a gradient become 0 / 0
  learn::Learner learner(config, at::kCPU, {}, 0, 40);
  learner.wait_for_nothing();
  const auto before = state_of(learner);
  learner.step(test::made_batch(0));
  EXPECT_THAT(test::message_of<learn::BadStep>([&] { learner.settle(); }),
              HasSubstr("step 1: the gradient, or what it would make of the weights, is not finite"));
  const auto after = state_of(learner);
  for (const auto& [name, tensor] : before.tensors) EXPECT_TRUE(test::same_bytes(tensor, after.at(name))) << name;
}

TEST(AStepThatWaitsForNothing, KnowsMapsOfClustersAndGivenIndices) {
  auto maps = config_with("two");
  test::named(maps.cluster.level, "patch");
  auto labels = test::tiny_config("unused", "label");
  for (const auto& config : {maps, labels}) {
    const auto ids = config.condition.source == recipe::Source::kLabel ? at::arange(40) % 4 : Tensor();
    learn::Learner reading(config, at::kCPU, ids, ids.defined() ? 4 : 0, 40),
        free(config, at::kCPU, ids, ids.defined() ? 4 : 0, 40);
    free.wait_for_nothing();
    for (int64_t step = 0; step < 8; ++step) {
      reading.step(test::made_batch(step));
      const test::HostReads reads;
      free.step(test::made_batch(step));
      EXPECT_EQ(reads.count(), 0);
    }
    EXPECT_TRUE(at::equal(reading.prior(), free.prior()));
  }
}
