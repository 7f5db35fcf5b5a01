// Ranges of the flat tensor with a decay and a learning rate of their own, against LibTorch's AdamW over tensors.
#include "sdg/learn/parameter_groups.h"

#include <gtest/gtest.h>
#include <torch/optim/adamw.h>

#include "sdg/learn/learner.h"
#include "sdg/learn/optimizer.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

// weight [3, 4], bias [4], norm [5], head weight [2, 3], head bias [2].
const std::vector<Shape> kShapes{{3, 4}, {4}, {5}, {2, 3}, {2}};
constexpr size_t kHead = 3;

std::vector<network::NamedRange> ranges() {
  std::vector<network::NamedRange> out;
  int64_t begin = 0;
  for (const auto& shape : kShapes) {
    int64_t size = 1;
    for (const auto n : shape) size *= n;
    out.push_back({"p", begin, begin + size, static_cast<int64_t>(shape.size())});
    begin += size;
  }
  return out;
}

std::vector<Tensor> split(const Tensor& flat) {
  std::vector<Tensor> out;
  for (const auto& range : ranges()) out.push_back(flat.slice(0, range.begin, range.end));
  return out;
}

recipe::TrainOptions options_with(recipe::NoDecay no_decay, double head_lr) {
  recipe::TrainOptions options;
  options.weight_decay = 0.3;
  options.no_decay = no_decay;
  options.head_lr = head_lr;
  options.clip = 0;
  return options;
}

Tensor normal(int64_t step) {
  return rng::normal({1, rng::Purpose::kTest, 0}, {step}, {ranges().back().end}).flatten();
}

// Each tensor of its own group, as torch.optim takes them.
std::vector<Tensor> by_torch(const recipe::TrainOptions& options, double lr, int64_t steps) {
  auto values = split(normal(0).clone());
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = values[i].clone().requires_grad_();
    const bool spared = options.no_decay == recipe::NoDecay::kNormsBiases && kShapes[i].size() == 1;
    auto own = std::make_unique<torch::optim::AdamWOptions>(i < kHead ? lr : lr * options.head_lr);
    own->betas({options.beta1, options.beta2}).eps(options.eps).weight_decay(spared ? 0 : options.weight_decay);
    groups.emplace_back(std::vector<Tensor>{values[i]}, std::move(own));
  }
  torch::optim::AdamW optimizer(groups, torch::optim::AdamWOptions(lr));
  for (int64_t step = 1; step <= steps; ++step) {
    const auto gradients = split(normal(step));
    for (size_t i = 0; i < values.size(); ++i) values[i].mutable_grad() = gradients[i].clone();
    optimizer.step();
  }
  return values;
}

}  // namespace

TEST(ParameterGroups, AreOneOfEverythingWithTheDefaults) {
  const auto groups = learn::parameter_groups(recipe::TrainOptions(), ranges(), kHead);
  ASSERT_EQ(groups.size(), 1U);
  ASSERT_EQ(groups[0].parts.size(), 1U);
  EXPECT_EQ(groups[0].parts[0].begin, 0);
  EXPECT_EQ(groups[0].parts[0].end, ranges().back().end);
  EXPECT_EQ(groups[0].lr, 1);
}

TEST(ParameterGroups, SpareNormsAndBiasesAndJoinNeighbours) {
  const auto groups = learn::parameter_groups(options_with(recipe::NoDecay::kNormsBiases, 1), ranges(), kHead);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].weight_decay, 0.3);
  EXPECT_EQ(groups[1].weight_decay, 0);
  ASSERT_EQ(groups[0].parts.size(), 2U);  // both weights
  ASSERT_EQ(groups[1].parts.size(), 2U);  // bias and norm side by side, the head's bias
  EXPECT_EQ(groups[1].parts[0].begin, 12);
  EXPECT_EQ(groups[1].parts[0].end, 21);
}

TEST(ParameterGroups, StepAsTorchsAdamWWithGroupsDoes) {
  for (const auto no_decay : {recipe::NoDecay::kNone, recipe::NoDecay::kNormsBiases}) {
    for (const double head_lr : {1.0, 0.25, 0.0}) {
      const auto options = options_with(no_decay, head_lr);
      auto values = normal(0).clone();
      learn::AdamW optimizer(options, values, learn::parameter_groups(options, ranges(), kHead));
      for (int64_t step = 1; step <= 12; ++step) optimizer.step(values, normal(step).clone(), 0.05);
      const auto expected = by_torch(options, 0.05, 12), got = split(values);
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_LT((got[i] - expected[i].detach()).abs().max().item<double>(), 2e-6) << i << ", head " << head_lr;
    }
  }
}

TEST(ParameterGroups, WithTheDefaultsNotABitDiffersFromOneCallOnEverything) {
  const auto options = options_with(recipe::NoDecay::kNone, 1);
  auto grouped = normal(0).clone(), whole = grouped.clone();
  learn::AdamW with(options, grouped, learn::parameter_groups(options, ranges(), kHead)), without(options, whole);
  for (int64_t step = 1; step <= 12; ++step) {
    with.step(grouped, normal(step).clone(), 0.05);
    without.step(whole, normal(step).clone(), 0.05);
  }
  EXPECT_TRUE(test::same_bytes(grouped, whole));
}

TEST(ParameterGroups, ReachTheRightParametersOfALearner) {
  auto config = test::tiny_config("unused");
  config.train.weight_decay = 0.5;
  config.train.head_lr = 0;
  config.cluster.start = 0;
  config.train.warmup = 0;
  config.train.no_decay = recipe::NoDecay::kNormsBiases;
  auto plain = config;
  plain.train.no_decay = recipe::NoDecay::kNone;
  data::Batch batch;
  batch.sample = batch.index = rng::consecutive(0, 8);
  batch.x = rng::normal({3, rng::Purpose::kTest, 0}, batch.sample, {1, 8, 8});
  learn::Learner spared(config, at::kCPU, {}, 0), all(plain, at::kCPU, {}, 0);
  const auto before = spared.student().tensors("");
  std::map<std::string, Tensor> copies;
  for (const auto& [name, tensor] : before) copies[name] = tensor.clone();
  spared.step(batch);
  all.step(batch);
  const auto decayed = all.student().tensors("");
  int64_t vectors = 0, matrices = 0;
  for (const auto& [name, tensor] : spared.student().tensors("")) {
    if (name.starts_with("projection_head.") && name.find("running") == std::string::npos &&
        name.find("num_batches") == std::string::npos) {
      EXPECT_TRUE(test::same_bytes(tensor, copies.at(name))) << name << ": the head's rate is 0";
    } else if (!name.starts_with("projection_head.") && !name.starts_with("prototypes.") &&
               !name.starts_with("feature_norm.")) {
      const bool same = test::same_bytes(tensor, decayed.at(name));
      if (tensor.dim() <= 1 && copies.at(name).abs().max().item<double>() > 0) {
        EXPECT_FALSE(same) << name << ": without decay here, with it there";
        ++vectors;
      } else if (tensor.dim() > 1) {
        EXPECT_LT((tensor - decayed.at(name)).abs().max().item<double>(), 1e-7) << name;
        ++matrices;
      }
    }
  }
  EXPECT_GT(vectors, 0);
  EXPECT_GT(matrices, 0);
}
