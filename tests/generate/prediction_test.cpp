// Networks that predict something else than the velocity, in training and in sampling.
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/flow/betas.h"
#include "sdg/flow/path.h"
#include "sdg/generate/generate.h"
#include "sdg/learn/learner.h"
#include "sdg/tensors/tensor_file.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

constexpr double kMean = -0.3, kStd = 0.2;

// The perfect DDPM network for pixels N(m, c^2): E[eps | z] at the step it is told, and a learned variance behind it
// that sampling must leave alone.
class PerfectNoise : public model::VelocityModel {
 public:
  explicit PerfectNoise(flow::Path path) : abar_(flow::alphas_cumprod(path)) {
    set_predicts({flow::Target::kNoise, path});
  }
  model::ForwardOutput forward(const Tensor& z, const Tensor& n, const model::Condition& /*condition*/,
                               const model::ForwardOptions& /*options*/) override {
    const double step = n[0].item<double>();
    const auto left = std::min<int64_t>(998, static_cast<int64_t>(step));
    const double share = step - static_cast<double>(left);
    const double abar =
        std::exp((1 - share) * std::log(abar_[left].item<double>()) + share * std::log(abar_[left + 1].item<double>()));
    const double a = std::sqrt(abar), b = std::sqrt(1 - abar);
    return {(z - a * kMean) * (b / (abar * kStd * kStd + b * b)), {}};
  }
  int64_t blocks() const override { return 1; }
  int64_t default_feature_depth() const override { return 0; }
  int64_t dim() const override { return 1; }
  int64_t extra_tokens() const override { return 0; }
  int64_t patch_tokens() const override { return 1; }
  int64_t macs() const override { return 1; }

 private:
  Tensor abar_;
};

}  // namespace

TEST(Prediction, ANoiseNetworkOfBetasDrawsItsDataThroughTheOdeSamplers) {
  auto config = test::tiny_config("unused", "none");
  for (const auto path : {flow::Path::kLinear, flow::Path::kCosine}) {
    network::Network network;
    network.model = std::make_shared<PerfectNoise>(path);
    network.predictions = flow::PredictionTable(network.model->predicts(), config.flow.sigma_min);
    generate::Request options;
    options.sample.count = 48;
    options.sample.steps = 40;
    options.sample.solver = sample::Solver::kHeun;
    const auto images = generate::generate(config, network, {}, at::kCPU, options).images.to(at::kDouble) / 127.5 - 1;
    const double error = kStd / std::sqrt(48.0 * 64);
    EXPECT_NEAR(images.mean().item<double>(), kMean, 4 * error + 1.0 / 255);
    EXPECT_NEAR(images.std().item<double>(), kStd, 4 * error + 1.0 / 255);
  }
}

// A few steps on tiny images: the error on the network's own target, at the same 400 draws, falls below the untrained
// network's.
TEST(Prediction, EveryKindTrains) {
  test::TemporaryFolder folder;
  const auto data = folder / "data.safetensors";
  test::write_tiny_data(data);
  const auto x =
      (tensors::read_tensors(data).tensors.at("images").to(at::kFloat) / 127.5 - 1).unsqueeze(1).repeat({10, 1, 1, 1});
  const auto samples = rng::consecutive(0, x.size(0));
  const auto eps = rng::normal({8, rng::Purpose::kTest, 0}, samples, x.sizes().slice(1));
  const auto u = rng::uniform({8, rng::Purpose::kTest, 1}, samples, {});
  const auto error_of = [&](const network::Network& network) {
    const at::NoGradGuard no_grad;
    const auto point = network.predictions.training_point(x, eps, u);
    const auto answer = network.model->forward(point.input, point.time, {}).prediction;
    const auto weight = point.weight.defined() ? point.weight : at::ones_like(u);
    return (flow::velocity_loss(answer, point.target) * weight).mean().item<double>();
  };
  for (const auto* path : {"straight", "linear"})
    for (const auto* target : {"velocity", "noise", "data", "score"}) {
      auto config = test::tiny_config(data, "none");
      test::named(config.model.prediction, target);
      test::named(config.model.path, path);
      config.train.steps = 60;
      config.train.batch = 20;
      config.train.shard = 20;
      config.train.lr = 3e-3;
      config.train.save_every = 1000;
      auto network = network::build_network(config, 0, at::kCPU);
      const double before = error_of(network);
      const auto outcome = test::train_quietly(config, folder / cat(path, target));
      network.load(tensors::read_tensors(outcome.checkpoint).tensors, "model.", "test");
      EXPECT_LT(error_of(network), 0.95 * before) << target << " on " << path;
    }
}

TEST(Prediction, AUNetTrainsFromTheConfigWithEveryConditionSource) {
  test::TemporaryFolder folder;
  test::write_tiny_data(folder / "data.safetensors");
  for (const auto* source : {"none", "label", "online"}) {
    auto config = test::tiny_config(folder / "data.safetensors", source);
    config.model = {};
    config.model.name = "adm-tiny";
    config.model.dropout = 0.1;
    config.cluster.pooling = cluster::Pooling::kMean;
    config.train.steps = 4;
    config.train.warmup = 1;
    const auto outcome = test::train_quietly(config, folder / source);
    EXPECT_EQ(outcome.step, 4) << source;
  }
}
