// The alignment with an outside network's features: its gradient by finite differences, its place in a step, its state.
#include "sdg/learn/alignment_objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "sdg/learn/learner.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kWidth = 5;

// Features that a fixed matrix makes of each image's quarters (or of the whole image).
std::shared_ptr<const learn::AlignmentTarget> made_target(bool places) {
  auto out = std::make_shared<learn::AlignmentTarget>();
  out->name = "made";
  out->width = kWidth;
  out->places = places;
  out->features = [places](const Tensor& x, int64_t side) {
    const auto cells = places ? side : 1;
    const auto blocks = x.reshape({x.size(0), cells, 8 / cells, cells, 8 / cells}).permute({0, 1, 3, 2, 4});
    const auto flat = blocks.reshape({x.size(0), cells * cells, -1});  // [n, L, 64 / L]
    const auto matrix = rng::normal({11, rng::Purpose::kTest, 0}, rng::consecutive(0, flat.size(2)), {kWidth});
    return flat.matmul(matrix);
  };
  return out;
}

recipe::RunConfig config_of(double weight, const std::string& source = "none") {
  auto config = test::tiny_config("unused", source);
  config.align.extractor = "made";
  config.align.weight = weight;
  config.align.hidden = 6;
  config.train.clip = 0;
  return config;
}

data::Batch batch_of(int64_t step, int64_t size = 8) {
  data::Batch batch;
  batch.sample = batch.index = rng::consecutive(step * size, size);
  for (auto& index : batch.index) index %= 40;
  batch.x = rng::normal({3, rng::Purpose::kTest, 0}, batch.index, {1, 8, 8}).clamp(-1, 1);
  return batch;
}

learn::Learner learner_of(const recipe::RunConfig& config, bool places = true, Reducer& reducer = Reducer::local()) {
  return {config, at::kCPU, {}, 0, 40, reducer, nullptr, made_target(places)};
}

}  // namespace

// In float64, so that differences mean something.
TEST(AlignmentLosses, HaveTheGradientOfFiniteDifferences) {
  for (const int64_t places : {4, 1}) {
    network::Projector projector(3, 6, kWidth, /*seed=*/1);
    projector->to(at::kDouble);
    const auto draw = [](int64_t of, at::IntArrayRef shape) {
      return rng::normal({4, rng::Purpose::kTest, 0}, {of}, shape).squeeze(0).to(at::kDouble);
    };
    auto tokens = draw(0, {2, 4, 3}).requires_grad_();
    const auto features = draw(1, {2, places, kWidth});
    auto leaves = projector->parameters();
    leaves.push_back(tokens);
    const auto loss = [&] { return network::alignment_losses(projector, tokens, features).sum(); };
    const auto gradients = torch::autograd::grad({loss()}, leaves);
    const at::NoGradGuard no_grad;
    constexpr double kStep = 1e-6;
    for (size_t i = 0; i < leaves.size(); ++i) {
      auto flat = leaves[i].view({-1});
      for (int64_t k = 0; k < flat.numel(); ++k) {
        const double value = flat[k].item<double>();
        flat[k] = value + kStep;
        const double above = loss().item<double>();
        flat[k] = value - kStep;
        const double below = loss().item<double>();
        flat[k] = value;
        EXPECT_NEAR(gradients[i].view({-1})[k].item<double>(), (above - below) / (2 * kStep), 1e-7) << i << " " << k;
      }
    }
  }
}

TEST(AlignmentLosses, AreTheMeanCosineCellByCell) {
  network::Projector projector(3, 6, kWidth, 1);
  const auto tokens = rng::normal({4, rng::Purpose::kTest, 0}, {0, 1}, {4, 3});
  const auto features = rng::normal({5, rng::Purpose::kTest, 0}, {0, 1}, {4, kWidth});
  const auto got = network::alignment_losses(projector, tokens, features);
  const auto projected = projector->forward(tokens).to(at::kDouble), wanted = features.to(at::kDouble);
  for (int64_t i = 0; i < 2; ++i) {
    double sum = 0;
    for (int64_t l = 0; l < 4; ++l) {
      const auto a = projected[i][l], b = wanted[i][l];
      sum += a.dot(b).item<double>() / (a.norm().item<double>() * b.norm().item<double>());
    }
    EXPECT_NEAR(got[i].item<double>(), -sum / 4, 1e-6);
  }
}

TEST(AlignmentObjective, AddsItsWeightAndLeavesTheFlowLoss) {
  for (const bool places : {true, false}) {
    learn::Learner plain(test::tiny_config("unused", "none"), at::kCPU, {}, 0, 40);
    const auto none = plain.step(batch_of(0));
    const auto half = learner_of(config_of(0.5), places).step(batch_of(0));
    const auto whole = learner_of(config_of(1), places).step(batch_of(0));
    const auto off = learner_of(config_of(0), places).step(batch_of(0));
    EXPECT_EQ(none.flow_loss, whole.flow_loss);
    EXPECT_EQ(off.objective, off.flow_loss);
    EXPECT_EQ(off.alignment_loss, 0);
    EXPECT_NE(whole.alignment_loss, 0);
    EXPECT_GE(whole.alignment_loss, -1);
    EXPECT_NEAR(half.alignment_loss, whole.alignment_loss, 1e-9);
    EXPECT_NEAR(whole.objective, whole.flow_loss + whole.alignment_loss, 1e-9);
    const auto once = half.gradient - off.gradient, twice = whole.gradient - off.gradient;
    EXPECT_GT(once.abs().max().item<double>(), 1e-6);
    EXPECT_LT((twice - 2 * once).abs().max().item<double>(), 1e-6) << "the gradient is linear in the weight";
  }
}

TEST(AlignmentObjective, FallsWhileItTrainsAndTheAverageFollowsItsProjector) {
  auto config = config_of(0.5);
  config.train.steps = 60;
  config.train.ema = 0.5;
  config.train.lr = 5e-3;
  auto learner = learner_of(config);
  const double first = learner.step(batch_of(0)).alignment_loss;
  double last = 0;
  for (int64_t step = 1; step < 60; ++step) last = learner.step(batch_of(0)).alignment_loss;
  EXPECT_LT(last, first - 0.2) << "of the same images, through the same noise";
  const auto ours = learner.student().tensors(""), theirs = learner.teacher().tensors("");
  const auto fresh = network::Projector(ours.at("projector.0.weight").size(1), 6, kWidth, 0);
  const auto start = fresh->named_parameters()["0.weight"].detach();
  EXPECT_GT((theirs.at("projector.0.weight") - start).abs().max().item<double>(), 1e-3);
  EXPECT_LT((theirs.at("projector.0.weight") - ours.at("projector.0.weight")).abs().max().item<double>(), 1e-2);
}

TEST(AlignmentObjective, GoesOnBitForBit) {
  for (const std::string source : {"none", "online"}) {
    auto whole = learner_of(config_of(0.5, source));
    for (int64_t step = 0; step < 4; ++step) whole.step(batch_of(step));
    tensors::TensorFile file;
    whole.save(file);
    for (auto& item : file.tensors) item.second = item.second.clone();
    EXPECT_TRUE(file.tensors.count("optimizer.exp_avg.projector.4.bias"));
    EXPECT_TRUE(file.tensors.count("ema.projector.0.weight"));
    auto resumed = learner_of(config_of(0.5, source));
    resumed.load(file, "test");
    for (int64_t step = 4; step < 7; ++step) {
      EXPECT_EQ(resumed.step(batch_of(step)).objective, whole.step(batch_of(step)).objective);
    }
    tensors::TensorFile a, b;
    whole.save(a);
    resumed.save(b);
    for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(test::same_bytes(tensor, b.at(name))) << name;
  }
}

TEST(AlignmentObjective, IsTheSameOnAnyNumberOfRanks) {
  const auto train = [](const std::vector<int64_t>& division, Reducer& reducer) {
    auto learner = learner_of(config_of(0.5, "online"), true, reducer);
    for (int64_t step = 0; step < 5; ++step) {
      const auto all = batch_of(step, 12);
      int64_t first = 0;
      for (int64_t rank = 0; rank < reducer.rank(); ++rank) first += division[static_cast<size_t>(rank)];
      const auto n = division[static_cast<size_t>(reducer.rank())];
      const auto part = [&](const std::vector<int64_t>& list) {
        return std::vector<int64_t>(list.begin() + first, list.begin() + first + n);
      };
      learner.step({all.x.narrow(0, first, n), part(all.index), part(all.sample)});
    }
    tensors::TensorFile file;
    learner.save(file);
    return file;
  };
  const auto one = train({12}, Reducer::local());
  for (const std::vector<int64_t>& division : {std::vector<int64_t>{6, 6}, {3, 6, 3}, {3, 3, 3, 3}}) {
    test::on_ranks(static_cast<int64_t>(division.size()), [&](Reducer& reducer) {
      const auto got = train(division, reducer);
      for (const auto& [name, tensor] : one.tensors)
        EXPECT_TRUE(test::same_bytes(tensor, got.at(name))) << name << ", " << reducer.ranks();
    });
  }
}

TEST(AlignmentObjective, WhatCannotBeAlignedIsRefused) {
  auto deep = config_of(0.5);
  deep.align.depth = 9;
  EXPECT_THAT(test::message_of<UsageError>([&] { learner_of(deep); }),
              HasSubstr("align.depth: the network has blocks"));
  EXPECT_THAT(test::message_of<Error>([&] { learn::Learner(config_of(0.5), at::kCPU, {}, 0); }),
              HasSubstr("align.extractor made"));
}

TEST(AlignmentObjective, TakesTheBlockAfterTwoSeventhsAsThePaperDoes) {
  struct Blocks : model::VelocityModel {
    explicit Blocks(int64_t n) : n(n) {}
    model::ForwardOutput forward(const Tensor&, const Tensor&, const model::Condition&,
                                 const model::ForwardOptions&) override {
      return {};
    }
    int64_t blocks() const override { return n; }
    int64_t default_feature_depth() const override { return 0; }
    int64_t dim() const override { return 1; }
    int64_t extra_tokens() const override { return 0; }
    int64_t patch_tokens() const override { return 1; }
    int64_t macs() const override { return 0; }
    int64_t n;
  };
  const recipe::RunConfig config;
  EXPECT_EQ(network::alignment_depth(config, Blocks(28)), 7) << "the 8th of 28";
  EXPECT_EQ(network::alignment_depth(config, Blocks(12)), 3) << "the 4th of 12";
  EXPECT_EQ(network::alignment_depth(config, Blocks(1)), 0);
}
