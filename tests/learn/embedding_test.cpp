// condition.token embedding: each image is told what the teacher sees in it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/flow/path.h"
#include "sdg/learn/draws.h"
#include "sdg/learn/learner.h"
#include "support/made_batch.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

constexpr int64_t kBatch = 12, kImages = 30;

recipe::RunConfig config_of(double end) {
  auto config = test::tiny_config("none.safetensors");
  config.train.batch = kBatch;
  config.train.steps = 10;
  config.train.shard = 5;
  config.train.lr = 1e-2;
  config.condition.change = 0.3;
  config.condition.drop = 0.4;
  config.cluster.end = end;
  test::named(config.condition.token, "embedding");
  return config;
}

Tensor kept(const learn::Learner& learner) {
  tensors::TensorFile file;
  learner.save(file);
  return file.tensors.at("kept_tokens").to(at::kFloat);
}

// The twin of a step's look: the teacher's embedding of each image, as long as the other tokens are.
Tensor looked(learn::Learner& learner, const recipe::RunConfig& config, const data::Batch& batch) {
  const at::NoGradGuard no_grad;
  auto& teacher = learner.teacher();
  const auto draws = learn::counter_draws(config, 16)(batch.sample, {1, 8, 8});
  const auto t = at::full({kBatch}, config.cluster.teacher_time, at::kFloat);
  const auto z = teacher.head->forward(network::features_at(config, teacher, batch.x, draws.teacher_eps, t)).embedding;
  return z / z.norm(2, {1}, true) * std::sqrt(static_cast<double>(z.size(1)));
}

// The flow loss of a step whose images are told `tokens`, by the definition.
double loss_of(learn::Learner& learner, const recipe::RunConfig& config, const data::Batch& batch,
               const Tensor& tokens) {
  const at::NoGradGuard no_grad;
  const auto draws = learn::counter_draws(config, 16)(batch.sample, {1, 8, 8});
  const auto sample = flow::constant_velocity(batch.x, draws.eps, draws.t, config.flow.sigma_min);
  const auto said = learner.student().velocity(sample.x_t, draws.t, model::Condition::given(tokens, draws.drop));
  return (said - sample.velocity).square().mean().item<double>();
}

}  // namespace

TEST(Embedding, OfEachImageIsWhatTheNetworkIsTold) {
  const auto config = config_of(1);
  learn::Learner learner(config, at::kCPU, {}, 0, kImages);
  double most = 0;
  for (int64_t step = 0; step < 10; ++step) {
    const auto batch = test::batch_of_images(step, kBatch, kImages);
    const auto tokens = looked(learner, config, batch);
    const double expected = loss_of(learner, config, batch, tokens),
                 others = loss_of(learner, config, batch, tokens.roll(1, 0));
    const auto result = learner.step(batch);
    ASSERT_EQ(result.conditioned, step >= 3);
    EXPECT_TRUE(at::allclose(kept(learner).index_select(0, at::tensor(batch.index)), tokens, 2e-3, 2e-3)) << step;
    if (!result.conditioned) continue;
    EXPECT_NEAR(static_cast<double>(result.flow_loss), expected, 1e-5 * expected) << step;
    most = std::max(most, std::abs(others - expected) / expected);
  }
  EXPECT_GT(most, 1e-4) << "whose embedding is told changes nothing: tests nothing";
}

TEST(Embedding, AtRestIsThatOfTheLastLook) {
  const auto config = config_of(0.6);
  learn::Learner learner(config, at::kCPU, {}, 0, kImages);
  for (int64_t step = 0; step < 6; ++step) learner.step(test::batch_of_images(step, kBatch, kImages));
  const auto before = kept(learner);
  for (int64_t step = 6; step < 10; ++step) {
    const auto batch = test::batch_of_images(step, kBatch, kImages);
    const double expected = loss_of(learner, config, batch, before.index_select(0, at::tensor(batch.index)));
    EXPECT_NEAR(static_cast<double>(learner.step(batch).flow_loss), expected, 1e-5 * expected) << step;
  }
  EXPECT_TRUE(at::equal(kept(learner), before));
}

TEST(Embedding, IsDrawnUnderByHowManyImagesHadALook) {
  learn::Learner learner(config_of(1), at::kCPU, {}, 0, kImages);
  for (int64_t step = 0; step < 5; ++step) learner.step(test::batch_of_images(step, kBatch, 18));
  const auto prior = learner.prior();
  ASSERT_EQ(prior.sizes(), (Shape{kImages}));
  EXPECT_TRUE(at::allclose(prior.slice(0, 0, 18), at::full({18}, 1.0 / 18, at::kDouble)));
  EXPECT_EQ(prior.slice(0, 18).sum().item<double>(), 0);
  const auto told = network::condition_for(config_of(1), learner.teacher(), at::tensor({4L, 17L})).value;
  EXPECT_TRUE(at::equal(told, kept(learner).index_select(0, at::tensor({4L, 17L}))));
}

TEST(Embedding, WhereItCannotBeToldIsRefused) {
  auto config = config_of(1);
  test::named(config.cluster.level, "patch");
  EXPECT_THAT(test::message_of<UsageError>([&] { recipe::check_config(config); }),
              testing::HasSubstr("condition.token: embedding is of whole images"));
  config = config_of(1);
  test::named(config.train.teacher, "change");
  EXPECT_THAT(test::message_of<UsageError>([&] { recipe::check_config(config); }),
              testing::HasSubstr("condition.token: embedding needs an average"));
  config = config_of(1);
  const auto bare = network::build_network(config, 0, at::kCPU);
  EXPECT_THAT(test::message_of<Error>([&] { network::condition_for(config, bare, at::tensor({0L})); }),
              testing::HasSubstr("there are no embeddings of images to draw under"));
}
