#include "sdg/cluster/prototype_head.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {
const cluster::PrototypeHeadOptions kOptions{.feature_dim = 12, .dim = 6, .clusters = 5};

cluster::PrototypeHead head_of(uint64_t seed) {
  cluster::PrototypeHead head(kOptions);
  cluster::initialize(*head, seed);
  return head;
}
Tensor features(int64_t rows) {
  return rng::normal({4}, rng::consecutive(0, rows), {12});
}
double off_unit(const Tensor& rows) {
  return (rows.norm(2, 1) - 1).abs().max().item<double>();
}
}  // namespace

TEST(PrototypeHead, EmbeddingsAreUnitRowsAndScoresTheirCosines) {
  auto head = head_of(1);
  const auto out = head->forward(features(9) * 50);
  EXPECT_EQ(out.embedding.sizes(), (Shape{9, 6}));
  EXPECT_LT(off_unit(out.embedding), 1e-6);
  EXPECT_LT((out.scores - out.embedding.mm(head->prototypes->weight.t())).abs().max().item<double>(), 1e-6);
  EXPECT_LE(out.scores.abs().max().item<double>(), 1 + 1e-6);
}

TEST(PrototypeHead, IsLinearBatchNormReluLinear) {
  auto head = head_of(1);
  const auto x = features(9);
  const auto weights = head->named_parameters();
  auto hidden = x.mm(weights["projection_head.0.weight"].t());
  hidden = (hidden - hidden.mean(0)) / (hidden.var(0, /*unbiased=*/false) + 1e-5).sqrt();
  const auto raw = hidden.clamp_min(0).mm(weights["projection_head.3.weight"].t());
  EXPECT_LT((head->forward(x).embedding - raw / raw.norm(2, 1, true)).abs().max().item<double>(), 1e-5);
}

TEST(PrototypeHead, NormalizePrototypesKeepsTheirDirections) {
  auto head = head_of(1);
  const auto before = head->prototypes->weight.detach().clone();
  {
    const at::NoGradGuard no_grad;
    head->prototypes->weight.mul_(at::arange(1, 6).unsqueeze(1));
  }
  ASSERT_GT(off_unit(head->prototypes->weight), 1);
  head->normalize_prototypes();
  EXPECT_LT((head->prototypes->weight - before).abs().max().item<double>(), 1e-6);
  EXPECT_TRUE(head->prototypes->weight.requires_grad());
}

TEST(PrototypeHead, OneRowTrainsNothingButCanBeEvaluated) {
  auto head = head_of(1);
  try {
    head->forward(features(1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "prototype head: BatchNorm needs at least 2 rows in train mode, got 1: use a larger batch");
  }
  head->eval();
  EXPECT_LT(off_unit(head->forward(features(1)).embedding), 1e-6);
}

TEST(PrototypeHead, RefusesFeaturesOfAnotherWidth) {
  EXPECT_THROW(head_of(1)->forward(at::zeros({4, 11})), Error);
  EXPECT_THROW(cluster::PrototypeHead(cluster::PrototypeHeadOptions{.feature_dim = 4}), Error);
}

TEST(PrototypeHead, FillsInTheWidthsThatWereLeftOpen) {
  const cluster::PrototypeHead head(cluster::PrototypeHeadOptions{.feature_dim = 12, .clusters = 3});
  EXPECT_EQ(head->options().hidden, 6);
  EXPECT_EQ(head->options().dim, 12);
}

// Against sums in double, one row after another.
TEST(PrototypeHead, CentroidsAreTheMeanOfLateMembers) {
  auto options = kOptions;
  options.centroids = true;
  cluster::PrototypeHead head(options);
  cluster::initialize(*head, 3);
  EXPECT_TRUE(at::equal(head->centroids(), head->prototypes->weight)) << "nobody has members yet";
  std::vector<std::vector<double>> sum(5, std::vector<double>(6, 0));
  std::vector<double> weight(5, 0);
  for (int64_t step = 0; step < 30; ++step) {
    const auto rows = rng::normal({8}, rng::consecutive(7 * step, 7), {6});
    auto ids = at::zeros({7}, at::kLong);
    for (int64_t i = 0; i < 7; ++i) ids[i] = (3 * i + step) % 4;  // the last cluster has none
    for (size_t k = 0; k < 5; ++k) {
      weight[k] *= 0.99;
      for (auto& each : sum[k]) each *= 0.99;
    }
    for (int64_t i = 0; i < 7; ++i) {
      const auto k = static_cast<size_t>(ids[i].item<int64_t>());
      weight[k] += 1;
      for (int64_t j = 0; j < 6; ++j) sum[k][static_cast<size_t>(j)] += rows[i][j].item<double>();
    }
    head->follow_members(rows, ids);
    head->follow_members(rows * NAN, ids, Reducer::local(), at::ones({}, at::kBool));  // a bad step
  }
  const auto found = head->centroids();
  for (size_t k = 0; k < 4; ++k) {
    for (size_t j = 0; j < 6; ++j)
      EXPECT_NEAR(found[static_cast<int64_t>(k)][static_cast<int64_t>(j)].item<double>(), sum[k][j] / weight[k], 1e-5);
  }
  EXPECT_TRUE(at::equal(found[4], head->prototypes->weight[4]));
}

TEST(Initialize, IsAFunctionOfTheSeed) {
  torch::manual_seed(1);
  auto first = head_of(7);
  torch::manual_seed(2);
  auto second = head_of(7), other = head_of(8);
  for (const auto& item : first->named_parameters()) {
    EXPECT_TRUE(at::equal(item.value(), second->named_parameters()[item.key()])) << item.key();
  }
  EXPECT_FALSE(at::equal(first->prototypes->weight, other->prototypes->weight));
}

TEST(Initialize, GivesTheWeightsTheirPublishedScale) {
  cluster::PrototypeHead head(cluster::PrototypeHeadOptions{.feature_dim = 256, .clusters = 40});
  cluster::initialize(*head, 3);
  const auto weights = head->named_parameters();
  EXPECT_NEAR(weights["projection_head.0.weight"].std().item<double>(), 0.02, 5e-4);
  EXPECT_EQ(weights["projection_head.0.bias"].abs().max().item<double>(), 0);
  EXPECT_EQ(weights["projection_head.1.weight"].min().item<double>(), 1);
  EXPECT_LT(off_unit(weights["prototypes.weight"]), 1e-6);
}

TEST(PrototypeHead, StandardisedFeaturesMayHaveAnyScaleAndOffset) {
  auto options = kOptions;
  options.standardize = true;
  cluster::PrototypeHead head(options);
  cluster::initialize(*head, 1);
  const auto x = features(40);
  const auto scale = at::logspace(0, 4, 12).unsqueeze(0);
  const auto scores = head->forward(x).scores;
  EXPECT_LT((scores - head->forward(x * scale + 7 * scale).scores).abs().max().item<double>(), 2e-3);
  EXPECT_GT((scores - head_of(1)->forward(x).scores).abs().max().item<double>(), 0.01);
  EXPECT_TRUE(head->named_buffers().contains("feature_norm.running_mean"));
}
