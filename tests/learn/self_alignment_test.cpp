// Alignment with the network's own average: its loss and gradient by hand, and that it learns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "sdg/core/rng.h"
#include "sdg/learn/alignment_objective.h"
#include "sdg/learn/learner.h"
#include "sdg/network/network.h"
#include "support/made_batch.h"
#include "support/shaken.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

recipe::RunConfig config_of(double weight) {
  auto config = test::tiny_config("unused", "none");
  config.align.extractor = "self";
  config.align.weight = weight;
  config.align.hidden = 6;
  config.align.depth = 0;
  config.align.target_depth = 2;
  config.train.clip = 0;
  return config;
}

Tensor tokens_of(network::Network& network, const Tensor& x_t, const Tensor& t, int64_t depth) {
  model::ForwardOptions asked;
  asked.feature_depth = depth;
  const auto all = network.model->forward(x_t, t, model::Condition::unconditional(), asked).features;
  return all.slice(1, network.model->extra_tokens());
}

}  // namespace

TEST(SelfAlignment, IsTheCosineWithTheAveragesTokensNearerToTheData) {
  const auto config = config_of(0.5);
  learn::Learner learner(config, at::kCPU, {}, 0, 40);
  test::shake(learner);
  const auto batch = test::made_batch(0);
  const auto draws = learn::counter_draws(config, learner.student().model->patch_tokens())(batch.sample, {1, 8, 8});
  const auto point = [&](const Tensor& at) {
    const auto t = at.view({-1, 1, 1, 1});
    return t * batch.x + (1 - (1 - config.flow.sigma_min) * t) * draws.eps;
  };
  const auto nearer = (draws.t + draws.shift).clamp_max(1);
  EXPECT_TRUE(draws.shift.ge(0).all().item<bool>() && draws.shift.le(0.2).all().item<bool>());
  const auto projected = learner.student().projector->forward(tokens_of(learner.student(), point(draws.t), draws.t, 0));
  const auto wanted = tokens_of(learner.teacher(), point(nearer), nearer, 2).detach();
  const auto cosine = (projected * wanted).sum(2) / (projected.norm(2, {2}) * wanted.norm(2, {2}));  // [n, L]
  const auto prediction =
      learner.student().model->forward(point(draws.t), draws.t, model::Condition::unconditional()).prediction;
  const auto flow = (prediction - (batch.x - (1 - config.flow.sigma_min) * draws.eps)).square().mean();
  auto parameters = learner.student().model->parameters();
  for (auto& parameter : learner.student().projector->parameters()) parameters.push_back(parameter);
  const auto gradients = torch::autograd::grad({flow - 0.5 * cosine.mean()}, parameters);
  std::vector<Tensor> pieces;
  for (const auto& gradient : gradients) pieces.push_back(gradient.flatten());
  const auto result = learner.step(batch);
  EXPECT_NEAR(result.alignment_loss, -cosine.mean().item<double>(), 1e-5);
  EXPECT_NEAR(result.objective, result.flow_loss + 0.5 * result.alignment_loss, 1e-9);
  EXPECT_LT((result.gradient - at::cat(pieces)).abs().max().item<double>(), 1e-5);
}

TEST(SelfAlignment, FallsWhileItTrains) {
  auto config = config_of(0.5);
  config.train.steps = 60;
  config.train.lr = 5e-3;
  learn::Learner learner(config, at::kCPU, {}, 0, 40);
  const double first = learner.step(test::made_batch(0)).alignment_loss;
  double last = 0;
  for (int64_t step = 1; step < 60; ++step) last = learner.step(test::made_batch(0)).alignment_loss;
  EXPECT_LT(last, first - 0.2) << "of the same images, through the same noise";
}

TEST(SelfAlignment, OfWeightZeroLeavesTheStepAsItWas) {
  learn::Learner plain(test::tiny_config("unused", "none"), at::kCPU, {}, 0, 40),
      idle(config_of(0), at::kCPU, {}, 0, 40);
  const auto expected = plain.step(test::made_batch(0)), found = idle.step(test::made_batch(0));
  EXPECT_EQ(found.objective, expected.objective);
  EXPECT_EQ(found.alignment_loss, 0);
}

TEST(SelfAlignment, TakesBlocksThatAreThere) {
  auto config = config_of(0.5);
  config.align.target_depth = 3;
  EXPECT_THAT(test::message_of<UsageError>([&] { learn::Learner(config, at::kCPU, {}, 0, 40); }),
              HasSubstr("align.target_depth: the network has blocks 0 to 2, got 3"));
  config.align.depth = config.align.target_depth = -1;
  config.model.depth = 27;
  const auto network = network::build_network(config, 0, at::kMeta);  // 27 blocks: 8 and 20 of 28 rounded
  EXPECT_EQ(network::alignment_depth(config, *network.model), 7);
  EXPECT_EQ(network::alignment_target_depth(config, *network.model), 19);
}
