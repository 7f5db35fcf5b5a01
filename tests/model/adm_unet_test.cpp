#include "sdg/model/adm_unet.h"

#include <gtest/gtest.h>

#include "fill_rule.h"
#include "nn/finite_difference.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"

using namespace sdg;
using namespace sdg::model;

namespace {

AdmUNetOptions small(ConditionKind condition = ConditionKind::kIndex) {
  AdmUNetOptions o;
  o.size = 16;
  o.width = 32;
  o.levels = {1, 2};
  o.res_blocks = 1;
  o.attention_at = {2};
  o.head_channels = 16;
  o.condition = condition;
  o.classes = 5;
  o.null_label = false;
  return o;
}

// A fresh network predicts zero: tests of what goes through it need other weights.
AdmUNet filled(const AdmUNetOptions& options) {
  AdmUNet net(options);
  test::fill(*net);
  return net;
}

Tensor images(int64_t n = 2) {
  return test::fixed_normal({n, 3, 16, 16}, 1).to(at::kFloat);
}
Tensor times(int64_t n = 2) {
  return at::linspace(100, 900, n);
}

}  // namespace

// Numbers printed by the public code for weights given by a formula (docs/math.md, "Formula weights").
TEST(AdmUNet, GivesThePublicGoldens) {
  const at::NoGradGuard no_grad;
  const auto x = test::fill_input({2, 3, 16, 16}), t = at::tensor({10, 500}, at::kLong);
  const auto label = Condition::given(at::tensor({1, 4}, at::kLong));
  auto options = small();
  options.learn_sigma = true;
  test::expect_golden(filled(options)->prediction(x, t, label), 255.910023, 947.983192,
                      {-.051837, .054956, .157395, .238794, .420938});
  options.new_attention_order = true;
  test::expect_golden(filled(options)->prediction(x, t, label), 250.905767, 941.098187,
                      {-.060143, .036002, .130073, .208136, .385576});
  options.new_attention_order = false;
  options.resblock_updown = false;
  options.scale_shift = false;
  options.head_channels = 0;
  options.heads = 4;
  test::expect_golden(filled(options)->prediction(x, t, label), 53.847181, 1112.777931,
                      {-.054077, .001122, .095917, .195658, .304882});
}

TEST(AdmUNet, PublishedFlagsGiveThePublishedParameters) {
  AdmUNetOptions o;
  static_cast<UNetOptions&>(o) = find_preset("adm-256").unet;
  o.size = 256;
  o.learn_sigma = true;
  o.null_label = false;
  const AdmUNet in256(o, at::TensorOptions(at::kMeta));
  EXPECT_EQ(parameter_count(*in256), 553838086);
  EXPECT_EQ(in256->named_parameters().size() + in256->named_buffers().size(), 567U);
  // Peebles and Xie, 2023, table 4, counts 1120 billion multiply-adds for this network.
  EXPECT_NEAR(static_cast<double>(in256->macs()) * 1e-9, 1120, 11);
  static_cast<UNetOptions&>(o) = find_preset("adm-64").unet;
  o.size = 64;
  o.learn_sigma = true;
  EXPECT_EQ(parameter_count(*AdmUNet(o, at::TensorOptions(at::kMeta))), 295904454);
}

TEST(AdmUNet, FeatureMapsOfEveryBlockHaveTheWidthsOfTheTable) {
  const at::NoGradGuard no_grad;
  auto net = filled(small());
  const auto label = Condition::given(at::tensor({1, 4}, at::kLong));
  // input: stem, block, down, block; middle; output: block, block with upsampling, block, block.
  const std::vector<int64_t> widths{32, 32, 32, 64, 64, 64, 64, 32, 32}, sides{16, 16, 8, 8, 8, 8, 16, 16, 16};
  ASSERT_EQ(net->blocks(), 9);
  EXPECT_EQ(net->default_feature_depth(), 4);
  EXPECT_EQ(net->patch_tokens(), 64);
  const auto velocity = net->forward(images(), times(), label).prediction;
  for (int64_t depth = 0; depth < 9; ++depth) {
    const auto index = static_cast<size_t>(depth);
    const auto whole = net->forward(images(), times(), label, {depth});
    EXPECT_EQ(whole.features.sizes(), (Shape{2, sides[index] * sides[index], widths[index]})) << depth;
    EXPECT_EQ(net->feature_dim(depth), widths[index]) << depth;
    EXPECT_EQ(net->feature_tokens(depth), sides[index] * sides[index]) << depth;
    EXPECT_TRUE(at::equal(whole.prediction, velocity)) << depth;
    const auto part = net->forward(images(), times(), label, {depth, /*features_only=*/true});
    EXPECT_FALSE(part.prediction.defined());
    EXPECT_TRUE(at::equal(part.features, whole.features)) << depth;
  }
  EXPECT_THROW(net->forward(images(), times(), label, {9}), Error);
}

TEST(AdmUNet, FeaturesOnlyComputesNothingBehindThem) {
  const at::NoGradGuard no_grad;
  auto net = filled(small());
  const auto label = Condition::given(at::tensor({1, 4}, at::kLong));
  const auto whole = net->forward(images(), times(), label, {4});
  for (auto& item : net->named_parameters())
    if (item.key().starts_with("output_blocks") || item.key().starts_with("out.")) item.value().fill_(std::nan(""));
  const auto part = net->forward(images(), times(), label, {4, /*features_only=*/true});
  EXPECT_TRUE(at::equal(part.features, whole.features));
}

// Pixel (row, column) of a map is token row * side + column.
TEST(AdmUNet, TokensAreThePixelsRowByRow) {
  const at::NoGradGuard no_grad;
  auto net = filled(small());
  const auto label = Condition::given(at::tensor({1}, at::kLong));
  auto x = images(1);
  const auto before = net->forward(x, times(1), label, {0}).features;
  x[0][0][5][7] += 1;
  const auto changed = (net->forward(x, times(1), label, {0}).features - before).abs().amax(2)[0];  // [256]
  for (int64_t row = 0; row < 16; ++row)
    for (int64_t column = 0; column < 16; ++column)
      EXPECT_EQ(changed[row * 16 + column].item<float>() > 0, std::abs(row - 5) <= 1 && std::abs(column - 7) <= 1)
          << row << " " << column;
}

TEST(AdmUNet, StartsAsTheZeroMap) {
  AdmUNet net(small());
  initialize(*net, 1);
  const auto label = Condition::given(at::tensor({1, 4}, at::kLong));
  const auto out = net->forward(images(), times(), label, {4});
  EXPECT_EQ(out.prediction.abs().max().item<float>(), 0);
  EXPECT_GT(out.features.abs().max().item<float>(), 0);
  const auto parameters = net->named_parameters();
  const auto& weight = parameters["input_blocks.1.0.in_layers.2.weight"];  // uniform with bound 1 / sqrt(32 * 9)
  EXPECT_NEAR(weight.abs().max().item<double>(), 1 / std::sqrt(288.0), 1e-3);
  EXPECT_NEAR(parameters["label_emb.weight"].std().item<double>(), 1, 0.1);
  EXPECT_EQ(parameters["out.0.weight"].min().item<float>(), 1);
  EXPECT_EQ(parameters["out.0.bias"].abs().max().item<float>(), 0);
}

TEST(AdmUNet, DroppedImagesGetTheNullCondition) {
  const at::NoGradGuard no_grad;
  for (const auto kind : {ConditionKind::kIndex, ConditionKind::kVector}) {
    auto options = small(kind);
    options.null_label = true;
    auto net = filled(options);
    const auto value =
        kind == ConditionKind::kIndex ? at::tensor({2, 0}, at::kLong) : test::fixed_normal({2, 128}, 5).to(at::kFloat);
    const auto run = [&](const Condition& condition) { return net->forward(images(), times(), condition).prediction; };
    const auto given = run(Condition::given(value)), null = run(Condition::null());
    const auto mixed = run(Condition::given(value, at::tensor({0, 1}).to(at::kBool)));
    EXPECT_TRUE(at::allclose(mixed[0], given[0], 1e-4, 1e-4));
    EXPECT_TRUE(at::allclose(mixed[1], null[1], 1e-4, 1e-4));
    EXPECT_FALSE(at::allclose(given[1], null[1], 1e-3, 1e-3)) << "the condition has no influence";
  }
}

TEST(AdmUNet, ActivationCheckpointingChangesNoValueAndNoGradientEvenWithDropout) {
  auto options = small();
  options.dropout = 0.2;
  auto plain = filled(options);
  options.activation_checkpointing = true;
  auto kept = filled(options);
  const auto label = Condition::given(at::tensor({1, 4}, at::kLong));
  ForwardOptions how;
  how.dropout = std::make_shared<DropoutDraw>(DropoutDraw{3, {11, 12}});
  const auto run = [&](AdmUNet& net) {
    auto velocity = net->forward(images(), times(), label, how).prediction;
    velocity.pow(2).mean().backward();
    return velocity;
  };
  EXPECT_TRUE(at::equal(run(plain), run(kept)));
  const auto expected = plain->named_parameters();
  for (const auto& item : kept->named_parameters()) {
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_TRUE(at::allclose(item.value().grad(), expected[item.key()].grad(), 1e-4, 1e-5)) << item.key();
  }
}

TEST(AdmUNet, EveryLayerHasItsOwnDropoutMask) {
  const at::NoGradGuard no_grad;
  auto options = small();
  options.dropout = 0.5;
  auto net = filled(options);
  const auto label = Condition::given(at::tensor({1, 4}, at::kLong));
  ForwardOptions how;
  how.dropout = std::make_shared<DropoutDraw>(DropoutDraw{3, {11, 12}});
  const auto with = net->forward(images(), times(), label, how).prediction;
  EXPECT_TRUE(at::equal(net->forward(images(), times(), label, how).prediction, with));
  EXPECT_FALSE(at::allclose(net->forward(images(), times(), label).prediction, with, 1e-2, 1e-2));
}

TEST(AdmUNet, RefusesWhatDoesNotFit) {
  auto net = filled(small(ConditionKind::kNone));
  EXPECT_NO_THROW(net->forward(images(), times(), Condition::unconditional()));
  EXPECT_THROW(net->forward(images(), times(), Condition::given(at::zeros({2}, at::kLong))), Error);
  EXPECT_THROW(net->forward(at::zeros({2, 3, 8, 8}), times(), Condition::null()), Error);
  EXPECT_THROW(AdmUNet{small(ConditionKind::kPatchVector)}, UsageError);
  auto wrong = small();
  wrong.width = 48;
  EXPECT_THROW(AdmUNet{wrong}, UsageError) << "48 channels in 32 groups";
  wrong = small();
  wrong.size = 15;
  EXPECT_THROW(AdmUNet{wrong}, UsageError) << "an odd side cannot be halved";
  wrong = small();
  wrong.head_channels = 24;
  EXPECT_THROW(AdmUNet{wrong}, UsageError);
}
