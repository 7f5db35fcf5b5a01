#include "sdg/learn/learner.h"

#include <gtest/gtest.h>

#include "sdg/core/rng.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

data::Batch made_batch(int64_t count) {
  data::Batch batch;
  batch.sample = rng::consecutive(0, count);
  batch.index = batch.sample;
  batch.x = rng::normal({3, rng::Purpose::kTest, 1}, batch.sample, {1, 8, 8});
  return batch;
}

recipe::RunConfig steep_config(const std::string& views) {
  auto config = test::tiny_config("none.safetensors");
  config.condition.change = 1;
  config.train.clip = 0;
  test::named(config.cluster.views, views);
  config.cluster.window_begin = 0.2;
  config.cluster.window_end = 0.95;
  config.cluster.weight = 5;
  config.cluster.temperature = 0.5;
  config.cluster.backbone = 1;
  return config;
}

// The objective after the student's tensor was moved along `direction`; everything else begins alike.
learn::StepResult step_from(const recipe::RunConfig& config, const std::string& name, const Tensor& move) {
  learn::Learner learner(config, at::kCPU, {}, 0);
  const at::NoGradGuard no_grad;
  learner.student().tensors("").at(name).add_(move);
  const at::AutoGradMode gradients_on(true);
  return learner.step(made_batch(12));
}

}  // namespace

// The assignments come from the teacher, or from scores that count as constants; with two views nothing of the
// objective but losses depends on the trained network, so its finite difference is the gradient.
TEST(GradientIntoTheBackbone, IsTheFiniteDifferenceOfTheObjective) {
  const auto config = steep_config("two");
  for (const std::string name : {"patch_embed.proj.weight", "in_blocks.0.mlp.fc1.weight"}) {
    learn::Learner probe(config, at::kCPU, {}, 0);
    const auto shape = probe.student().tensors("").at(name).sizes().vec();
    auto direction = rng::normal({4, rng::Purpose::kTest, 2}, {0}, shape)[0];
    direction /= direction.norm();
    const auto at_rest = step_from(config, name, at::zeros(shape));
    const double along = probe.named(at_rest.gradient).at(name).mul(direction).sum().item<double>();
    const double h = 0.001;  // small: at larger moves some of the head's ReLUs switch
    const double difference =
        (step_from(config, name, h * direction).objective - step_from(config, name, -h * direction).objective) /
        (2 * h);
    EXPECT_NEAR(along, difference, 0.02 * std::abs(difference) + 2e-4) << name;

    auto stopped = config;
    stopped.cluster.backbone = 0;
    const double without =
        probe.named(step_from(stopped, name, at::zeros(shape)).gradient).at(name).mul(direction).sum().item<double>();
    EXPECT_GT(std::abs(along - without), 1e-3) << name << ": the clustering loss has no share in this gradient";
  }
}

TEST(GradientIntoTheBackbone, IsProportionalToTheOption) {
  for (const auto* views : {"two", "one"}) {
    auto config = steep_config(views);
    const auto gradient = [&](double share) {
      config.cluster.backbone = share;
      learn::Learner learner(config, at::kCPU, {}, 0);
      return learner.step(made_batch(12)).gradient;
    };
    const auto none = gradient(0), half = gradient(0.5), whole = gradient(1);
    EXPECT_GT((whole - none).abs().max().item<double>(), 1e-4) << views;
    EXPECT_LT(((whole - none) - 2 * (half - none)).abs().max().item<double>(), 2e-4) << views;
  }
}

TEST(BalanceInsideTheWindow, TakesOnlyRowsOfTheWindow) {
  auto config = steep_config("one");
  config.cluster.backbone = 0;
  const auto head_gradient = [&](const std::string& balance, double outside) {
    test::named(config.cluster.balance, balance);
    auto draws = learn::counter_draws(config, 4);
    const auto changed = [&, draws](const std::vector<int64_t>& samples, at::IntArrayRef shape) {
      auto out = draws(samples, shape);
      for (size_t i = 0; i < samples.size(); ++i) {
        const auto row = static_cast<int64_t>(i);
        out.t[row].fill_(samples[i] % 2 == 0 ? 0.5 : outside);
      }
      return out;
    };
    learn::Learner learner(config, at::kCPU, {}, 0, network::build_network(config, 0, at::kCPU),
                           network::build_network(config, 0, at::kCPU), changed);
    return learner.step(made_batch(12));
  };
  const auto inside = head_gradient("window", 0.1), whole = head_gradient("batch", 0.1);
  EXPECT_EQ(inside.sinkhorn->assignments.size(0), 6);
  EXPECT_EQ(whole.sinkhorn->assignments.size(0), 12);
  const auto none = head_gradient("window", 0.5);
  EXPECT_EQ(none.sinkhorn->assignments.size(0), 12);
}

TEST(TheQueue, BringsTheBalancedRowsToTwiceTheClusters) {
  const auto rows = [](const std::string& views, const std::string& balance, const std::string& level) -> int64_t {
    auto config = steep_config(views);
    test::named(config.cluster.balance, balance);
    test::named(config.cluster.level, level);
    config.cluster.backbone = 0;
    config.cluster.clusters = 30;
    config.cluster.window_begin = 0.5;
    config.cluster.window_end = 0.75;
    config.train.batch = 12;
    learn::Learner learner(config, at::kCPU, {}, 0);
    learner.step(made_batch(12));
    tensors::TensorFile file;
    learner.save(file);
    return file.tensors.count("queue") ? file.tensors.at("queue").size(0) : 0;
  };
  EXPECT_EQ(rows("two", "window", "image"), 60 - 12);
  EXPECT_EQ(rows("one", "batch", "image"), 60 - 12);
  EXPECT_EQ(rows("one", "window", "image"), 60 - 3);   // a quarter of the images lies in the window
  EXPECT_EQ(rows("two", "window", "patch"), 60 - 48);  // 4 patches an image
  EXPECT_EQ(rows("one", "window", "patch"), 60 - 12);
}
