// What is predicted and where the loss lies, through a whole step and a whole run.
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/rng.h"
#include "sdg/generate/generate.h"
#include "sdg/learn/learner.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

recipe::RunConfig config_of(const std::string& predicts, const std::string& space, const std::string& source = "none") {
  auto config = test::tiny_config("none.safetensors", source);
  config.train.clip = 0;
  test::named(config.model.prediction, predicts);
  test::named(config.train.loss_on, space);
  return config;
}

data::Batch made_batch(int64_t count) {
  data::Batch batch;
  batch.sample = rng::consecutive(0, count);
  batch.index = batch.sample;
  batch.x = rng::normal({3, rng::Purpose::kTest, 1}, batch.sample, {1, 8, 8});
  return batch;
}

learn::StepResult step_from(const recipe::RunConfig& config, const std::string& name, const Tensor& move) {
  learn::Learner learner(config, at::kCPU, {}, 0);
  {
    const at::NoGradGuard no_grad;
    learner.student().tensors("").at(name).add_(move);
  }
  return learner.step(made_batch(12));
}

}  // namespace

TEST(LossOn, ItsGradientIsTheFiniteDifference) {
  const std::string name = "in_blocks.0.mlp.fc1.weight";
  for (const auto& [predicts, space] :
       {std::pair{"data", "velocity"}, {"noise", "velocity"}, {"velocity", "data"}, {"data", "noise"}}) {
    const auto config = config_of(predicts, space);
    learn::Learner probe(config, at::kCPU, {}, 0);
    const auto shape = probe.student().tensors("").at(name).sizes().vec();
    auto direction = rng::normal({4, rng::Purpose::kTest, 2}, {0}, shape)[0];
    const auto gradient = probe.named(step_from(config, name, at::zeros(shape)).gradient).at(name);
    direction = gradient / gradient.norm() + 0.3 * direction / direction.norm();
    const double along = gradient.mul(direction).sum().item<double>(), h = 0.02;
    const double difference =
        (step_from(config, name, h * direction).objective - step_from(config, name, -h * direction).objective) /
        (2 * h);
    EXPECT_NEAR(along, difference, 0.02 * std::abs(difference)) << predicts << " on " << space;
  }
}

// A network whose answers are all nothing has the loss of its target alone: the mean square, weighted.
TEST(LossOn, IsTheMeanSquareOfTheImpliedVelocity) {
  const auto config = config_of("data", "velocity");
  learn::Learner learner(config, at::kCPU, {}, 0);
  {
    const at::NoGradGuard no_grad;
    for (auto& [name, tensor] : learner.student().tensors("")) {
      if (name.find("final_layer") != std::string::npos || name.find("decoder_pred") != std::string::npos)
        tensor.zero_();
    }
  }
  const auto batch = made_batch(12);
  const auto draws = learn::counter_draws(config, 4)(batch.sample, {1, 8, 8});
  double expected = 0;
  for (int64_t i = 0; i < 12; ++i) {
    const double rest = std::max(0.05, 1 - (1 - config.flow.sigma_min) * draws.t[i].item<double>());
    expected += batch.x[i].square().mean().item<double>() / (rest * rest) / 12;
  }
  EXPECT_NEAR(learner.step(batch).flow_loss, expected, 1e-5 * expected);
}

// Trained, stored, read back and drawn from, with clusters that guide.
TEST(LossOn, ARunLearnsAndItsCheckpointKnows) {
  const test::TemporaryFolder folder;
  test::write_tiny_data(folder.path() / "data.safetensors");
  auto config = config_of("data", "velocity", "online");
  config.data.path = (folder.path() / "data.safetensors").string();
  config.train.steps = 60;
  config.train.save_every = 60;
  config.train.lr = 5e-3;
  const auto outcome = test::train_quietly(config, folder.path() / "run");
  const auto trained = checkpoint::load_trained(outcome.checkpoint, at::kCPU);
  EXPECT_EQ(trained.network.model->predicts().target, flow::Target::kData);
  EXPECT_EQ(trained.info.config.train.loss_on, flow::LossSpace::kVelocity);
  generate::Request request;
  request.sample.count = 16;
  request.sample.steps = 10;
  request.sample.guidance = 1.5;
  const auto drawn = generate::generate(trained.info.config, trained.network, trained.prior, at::kCPU, request);
  const auto mean = drawn.images.to(at::kFloat).mean().item<double>();
  // The data: noise of mean 50 and one bright quarter of the four, 140 above it.
  EXPECT_NEAR(mean, 50 + 140 / 4.0, 25);
}
