#include "sdg/model/sg_unet.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fill_rule.h"
#include "nn/finite_difference.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"

using namespace sdg;
using namespace sdg::model;

namespace {

SgUNetOptions small(ConditionKind condition, bool context_attention) {
  SgUNetOptions o;
  o.size = 8;
  o.width = 32;
  o.levels = {1, 2};
  o.res_blocks = 1;
  o.attention_at = {2};
  o.heads = 4;
  o.condition = condition;
  o.condition_dim = 6;
  o.tokens = condition == ConditionKind::kPatchVector ? 4 : 0;
  o.map_channels = condition == ConditionKind::kMap ? 2 : 0;
  o.context_attention = context_attention;
  o.resblock_updown = !context_attention;
  return o;
}

// Weights of the size that keeps activations of order one, norms near the identity.
SgUNet random_net(const SgUNetOptions& options) {
  SgUNet net(options);
  const at::NoGradGuard no_grad;
  uint64_t seed = 40;
  for (auto& item : net->named_parameters()) {
    auto& value = item.value();
    const auto draw = test::fixed_normal(value.sizes(), seed++);
    const bool is_scale = value.dim() == 1 && !item.key().ends_with(".bias");
    const auto inputs = value.numel() / value.size(0);
    const double fan_in = value.dim() > 1 ? static_cast<double>(inputs) : 25;
    value.copy_(draw / std::sqrt(fan_in) + (is_scale ? 1 : 0));
  }
  return net;
}

Tensor images() {
  return test::fixed_normal({2, 3, 8, 8}, 1).to(at::kFloat);
}
Tensor times() {
  return at::tensor({100.F, 700.F});
}

Condition example(ConditionKind kind, const Tensor& drop = {}) {
  switch (kind) {
    case ConditionKind::kIndex:
      return Condition::given(at::tensor({2, 0}, at::kLong), drop);
    case ConditionKind::kVector:
      return Condition::given(test::fixed_normal({2, 6}, 5).to(at::kFloat), drop);
    case ConditionKind::kPatchVector:
      return Condition::given(test::fixed_normal({2, 4, 6}, 5).to(at::kFloat), drop);
    case ConditionKind::kMap:
      return Condition::given({}, drop, test::fixed_normal({2, 2, 8, 8}, 5).to(at::kFloat));
    case ConditionKind::kNone:
      break;
  }
  return Condition::unconditional();
}

}  // namespace

TEST(SgUNet, PublishedFlagsGiveThePublishedParameters) {
  const auto meta = at::TensorOptions(at::kMeta);
  SgUNetOptions clusters;  // ImageNet32 with 5000 clusters
  static_cast<UNetOptions&>(clusters) = find_preset("sg-unet-fast").unet;
  clusters.size = 32;
  clusters.condition_dim = 5000;
  EXPECT_EQ(parameter_count(*SgUNet(clusters, meta)), 75281803);
  SgUNetOptions lost;  // VOC with LOST boxes: 100 clusters, a layout of one channel
  static_cast<UNetOptions&>(lost) = find_preset("sg-unetca-fast").unet;
  lost.size = 64;
  lost.context_attention = true;
  lost.condition_dim = 100;
  lost.map_channels = 1;
  EXPECT_EQ(parameter_count(*SgUNet(lost, meta)), 63319503);
}

class SgUNetOfKind : public testing::TestWithParam<std::tuple<ConditionKind, bool>> {};

TEST_P(SgUNetOfKind, DroppedImagesGetTheNullCondition) {
  const at::NoGradGuard no_grad;
  const auto [kind, context_attention] = GetParam();
  auto net = random_net(small(kind, context_attention));
  const auto run = [&](const Condition& condition) { return net->forward(images(), times(), condition).prediction; };
  const auto given = run(example(kind)), null = run(Condition::null());
  const auto mixed = run(example(kind, at::tensor({0, 1}).to(at::kBool)));
  EXPECT_TRUE(at::allclose(mixed[0], given[0], 1e-4, 1e-4));
  EXPECT_TRUE(at::allclose(mixed[1], null[1], 1e-4, 1e-4));
  EXPECT_FALSE(at::allclose(given[1], null[1], 1e-3, 1e-3)) << "the condition has no influence";
}

INSTANTIATE_TEST_SUITE_P(
    Conditions, SgUNetOfKind,
    testing::Values(std::make_tuple(ConditionKind::kIndex, false), std::make_tuple(ConditionKind::kVector, false),
                    std::make_tuple(ConditionKind::kMap, false), std::make_tuple(ConditionKind::kIndex, true),
                    std::make_tuple(ConditionKind::kVector, true), std::make_tuple(ConditionKind::kPatchVector, true),
                    std::make_tuple(ConditionKind::kMap, true)));

TEST(SgUNet, AnIndexIsItsOneHotVector) {
  const at::NoGradGuard no_grad;
  auto index = random_net(small(ConditionKind::kIndex, false));
  auto vector = random_net(small(ConditionKind::kVector, false));
  const auto rows = at::tensor({2, 0}, at::kLong);
  const auto one_hot = Condition::given(at::one_hot(rows, 6).to(at::kFloat));
  EXPECT_TRUE(at::equal(index->forward(images(), times(), Condition::given(rows)).prediction,
                        vector->forward(images(), times(), one_hot).prediction));
  EXPECT_THROW(index->forward(images(), times(), Condition::given(rows + 4)), Error);
}

TEST(SgUNet, StartsAsTheZeroMapAndTheNullConditionStaysUntrained) {
  SgUNet net(small(ConditionKind::kPatchVector, true));
  initialize(*net, 1);
  const auto out =
      net->forward(images(), times(), example(ConditionKind::kPatchVector), {net->default_feature_depth()});
  EXPECT_EQ(out.prediction.abs().max().item<float>(), 0);
  EXPECT_EQ(out.features.sizes(), (Shape{2, 16, 64}));
  EXPECT_FALSE(net->named_parameters()["null_cond_emb"].requires_grad());
  EXPECT_EQ(net->named_parameters()["null_cond_emb"].abs().max().item<float>(), 0);
}

TEST(SgUNet, ActivationCheckpointingChangesNoGradient) {
  auto options = small(ConditionKind::kVector, true);
  SgUNet plain(options);
  options.activation_checkpointing = true;
  SgUNet kept(options);
  for (auto* net : {&plain, &kept}) {
    test::fill(**net);
    (*net)->forward(images(), times(), example(ConditionKind::kVector)).prediction.pow(2).mean().backward();
  }
  const auto expected = plain->named_parameters();
  for (const auto& item : kept->named_parameters()) {
    ASSERT_EQ(item.value().grad().defined(), expected[item.key()].grad().defined()) << item.key();
    if (item.value().grad().defined())
      EXPECT_TRUE(at::allclose(item.value().grad(), expected[item.key()].grad(), 1e-4, 1e-5)) << item.key();
  }
}

TEST(SgUNet, RefusesWhatDoesNotFit) {
  EXPECT_THROW(SgUNet{small(ConditionKind::kPatchVector, false)}, UsageError) << "tokens need context attention";
  auto wrong = small(ConditionKind::kMap, false);
  wrong.map_channels = 0;
  EXPECT_THROW(SgUNet{wrong}, UsageError);
  wrong = small(ConditionKind::kVector, false);
  wrong.levels = {2, 2};
  EXPECT_THROW(SgUNet{wrong}, UsageError) << "the public code's output layer would not fit";
  SgUNet net(small(ConditionKind::kMap, false));
  EXPECT_THROW(net->forward(images(), times(), Condition::given(at::zeros({2, 6}))), Error) << "a vector, but no map";
}
