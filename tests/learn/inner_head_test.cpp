// Internal Guidance in training: the inner head's loss beside the network's own, in one backward pass.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "sdg/learn/learner.h"
#include "support/made_batch.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

recipe::RunConfig config_of(double weight, int64_t inner = 0) {
  auto config = test::tiny_config("unused", "none");
  config.guided.inner = inner;
  config.guided.inner_weight = weight;
  config.train.clip = 0;
  return config;
}

}  // namespace

TEST(InnerHead, AddsItsFlowLossWithItsWeight) {
  learn::Learner learner(config_of(0.5), at::kCPU, {}, 0, 40);
  const auto batch = test::made_batch(0);
  const auto& config = config_of(0.5);
  const auto& net = *learner.student().model;
  const auto draws = learn::counter_draws(config, net.patch_tokens())(batch.sample, {1, 8, 8});
  const auto t = draws.t.view({-1, 1, 1, 1});
  const double s = config.flow.sigma_min;
  const auto u = batch.x - (1 - s) * draws.eps;
  model::ForwardOptions asked;
  asked.inner = true;
  const auto out = learner.student().model->forward(t * batch.x + (1 - (1 - s) * t) * draws.eps, draws.t,
                                                    model::Condition::unconditional(), asked);
  const auto own = (out.prediction - u).square().mean(), inner = (out.inner - u).square().mean();
  const auto gradients = torch::autograd::grad({own + 0.5 * inner}, learner.student().model->parameters());
  std::vector<Tensor> pieces;
  for (const auto& gradient : gradients) pieces.push_back(gradient.flatten());
  const auto result = learner.step(batch);
  EXPECT_NEAR(result.flow_loss, own.item<double>(), 1e-5);
  EXPECT_NEAR(result.inner_loss, inner.item<double>(), 1e-5);
  EXPECT_NEAR(result.objective, result.flow_loss + 0.5 * result.inner_loss, 1e-12);
  EXPECT_LT((result.gradient - at::cat(pieces)).abs().max().item<double>(), 1e-5);
}

TEST(InnerHead, OfWeightZeroIsLeftAsItWasAndChangesNothing) {
  learn::Learner plain(config_of(0.5, -1), at::kCPU, {}, 0, 40), idle(config_of(0), at::kCPU, {}, 0, 40);
  const auto before = idle.student().tensors("").at("inner_head.linear.weight").clone();
  for (int64_t step = 0; step < 3; ++step) {
    const auto expected = plain.step(test::made_batch(step)), found = idle.step(test::made_batch(step));
    EXPECT_EQ(found.flow_loss, expected.flow_loss);
    EXPECT_EQ(found.objective, expected.objective);
    EXPECT_EQ(found.inner_loss, 0);
  }
  EXPECT_TRUE(at::equal(idle.student().tensors("").at("inner_head.linear.weight"), before));
}

TEST(InnerHead, LearnsAndTheAverageFollows) {
  auto config = config_of(0.5);
  config.train.steps = 80;
  config.train.lr = 1e-2;
  config.train.ema = 0.5;
  learn::Learner learner(config, at::kCPU, {}, 0, 40);
  const double first = learner.step(test::made_batch(0)).inner_loss;
  double last = 0;
  for (int64_t step = 1; step < 80; ++step) last = learner.step(test::made_batch(0)).inner_loss;
  EXPECT_LT(last, 0.9 * first) << "of the same images, through the same noise";
  const auto ours = learner.student().tensors(""), theirs = learner.teacher().tensors("");
  EXPECT_LT((theirs.at("inner_head.linear.weight") - ours.at("inner_head.linear.weight")).abs().max().item<double>(),
            1e-1);
}
