// A step that comes out not finite leaves no trace, whichever part of it went bad.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "sdg/core/rng.h"
#include "sdg/learn/learner.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::AllOf;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kBefore = 5;  // steps: the queue, the average and the conditions have begun

data::Batch batch_of(int64_t step) {
  data::Batch batch;
  batch.sample = rng::consecutive(8 * step, 8);
  batch.index = batch.sample;
  batch.x = rng::normal({3, rng::Purpose::kTest, 0}, batch.sample, {1, 8, 8});
  return batch;
}

recipe::RunConfig config_with(const std::string& views) {
  auto config = test::tiny_config("unused");
  test::named(config.cluster.views, views);
  config.cluster.queue = 20;
  config.cluster.window_begin = 0.1;
  return config;
}

tensors::TensorFile state_of(const learn::Learner& learner) {
  tensors::TensorFile file;
  learner.save(file);
  for (auto& item : file.tensors) item.second = item.second.clone();
  return file;
}

void expect_same_state(const tensors::TensorFile& a, const tensors::TensorFile& b) {
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(test::same_bytes(tensor, b.at(name))) << name;
  EXPECT_EQ(a.metadata, b.metadata);
}

// What a step says that `spoil` (of the learner or of the batch) makes go bad; nothing else may come of it.
std::string complaint(recipe::RunConfig config, const std::function<void(learn::Learner&, data::Batch&)>& spoil,
                      int64_t steps = kBefore) {
  learn::Learner learner(config, at::kCPU, {}, 0, 40);
  for (int64_t step = 0; step < steps; ++step) learner.step(batch_of(step));
  auto batch = batch_of(steps);
  spoil(learner, batch);
  const auto before = state_of(learner);
  EXPECT_TRUE(before.tensors.count("queue") && before.tensors.count("agreement.memory"));
  const auto message = test::message_of<learn::BadStep>([&] { learner.step(batch); });
  expect_same_state(before, state_of(learner));
  return message;
}

}  // namespace

TEST(ABadStep, OfTheDataSaysSo) {
  for (const auto* views : {"one", "two"}) {
    EXPECT_THAT(complaint(config_with(views), [](learn::Learner&, data::Batch& batch) { batch.x[7][0][0][0] = NAN; }),
                AllOf(HasSubstr("step 6: the flow loss is nan"), HasSubstr("the training data itself"),
                      HasSubstr("a lower train.lr (now 0.002)")));
  }
}

TEST(ABadStep, OfTheWeightsIsUndone) {
  EXPECT_THAT(complaint(config_with("two"),
                        [](learn::Learner& learner, data::Batch&) {
                          const at::NoGradGuard no_grad;
                          learner.student().tensors("").at("patch_embed.proj.weight").fill_(1e30);
                        }),
              AllOf(HasSubstr("step 6: the flow loss is "), ::testing::Not(HasSubstr("training data"))));
}

TEST(ABadStep, OfTheClusteringLossLeavesPrototypesStatisticsAndQueue) {
  for (const auto* views : {"one", "two"}) {
    EXPECT_THAT(complaint(config_with(views),
                          [](learn::Learner& learner, data::Batch&) {
                            const at::NoGradGuard no_grad;
                            learner.student().tensors("").at("projection_head.0.weight").fill_(3e38);
                          }),
                HasSubstr("step 6: the clustering loss"))
        << views;
  }
}

TEST(ABadStep, OfTheGradientSaysWhoseItIs) {
  auto config = config_with("two");
  config.cluster.weight = 1e39;  // the loss itself stays small
  const auto unnormalised = [](learn::Learner& learner, data::Batch&) {
    const at::NoGradGuard no_grad;
    learner.student().tensors("").at("prototypes.weight").mul_(2);  // the step would bring them back to length 1
  };
  EXPECT_THAT(complaint(config, unnormalised, 0),
              AllOf(HasSubstr("step 1: the gradient is not finite"), HasSubstr("that of the clustering loss")));
}

TEST(ABadStep, OfTheOptimizerIsUndone) {
  auto config = test::tiny_config("unused");
  config.train.eps = 0;  // weights that never get a gradient become 0 / 0
  learn::Learner learner(config, at::kCPU, {}, 0, 40);
  const auto before = state_of(learner);
  EXPECT_THAT(test::message_of<learn::BadStep>([&] { learner.step(batch_of(0)); }),
              HasSubstr("step 1: the optimizer would make weights that are not finite"));
  expect_same_state(before, state_of(learner));
}
