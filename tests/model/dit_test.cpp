#include "sdg/model/dit.h"

#include <gtest/gtest.h>

#include "fill_rule.h"
#include "nn/finite_difference.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"
#include "sdg/nn/embed.h"
#include "sdg/sample/guidance.h"

using namespace sdg;
using namespace sdg::model;

namespace {

DiTOptions small(ConditionKind condition = ConditionKind::kIndex) {
  DiTOptions o;
  o.size = 4;
  o.patch = 2;
  o.channels = 4;
  o.dim = 16;
  o.depth = 2;
  o.heads = 2;
  o.condition = condition;
  o.classes = 5;
  return o;
}

// A fresh network predicts zero: tests of what goes through it need other weights. The position table stays.
DiT filled(DiTOptions options) {
  DiT net(options);
  test::fill(*net);
  const at::NoGradGuard no_grad;
  net->pos_embed.copy_(nn::sincos_position_table(options.dim, options.size / options.patch).unsqueeze(0));
  return net;
}

Tensor images(int64_t n = 3) {
  return test::fixed_normal({n, 4, 4, 4}, 1).to(at::kFloat);
}
Tensor times(int64_t n = 3) {
  return at::linspace(0.1, 0.9, n);
}

}  // namespace

// Numbers printed by the public code for weights given by a formula (docs/math.md, "Formula weights").
TEST(DiT, GivesThePublicGoldens) {
  const at::NoGradGuard no_grad;
  auto options = small();
  options.learn_sigma = true;
  auto net = filled(options);
  const auto x = test::fill_input({2, 4, 4, 4}), labels = at::tensor({1, 5}, at::kLong);
  test::expect_golden(net->prediction(x, at::tensor({10, 500}, at::kLong), Condition::given(labels)), -2.220028,
                      178.099485, {-.706838, .921913, -.353788, .923582, .745758});
  test::expect_golden(net->forward(x, at::tensor({.3F, .85F}), Condition::given(labels)).prediction, 3.444980,
                      87.787318, {-.705234, .922315, -.352508, .92426, .744102});
  // Guidance 4 of one image, both public halves: each keeps its own channels from the fourth on.
  const auto t = at::tensor({500}, at::kLong);
  const auto told = net->prediction(x.slice(0, 0, 1), t, Condition::given(at::tensor({1}, at::kLong)));
  const auto null = net->prediction(x.slice(0, 0, 1), t, Condition::null());
  const auto guided = sample::guide(null, told, 4, 3);
  const auto halves = at::cat({guided, at::cat({guided.slice(1, 0, 3), null.slice(1, 3)}, 1)});
  test::expect_golden(halves, -2.087360, 185.210930, {-.84887, .869909, -.452221, .844122, .894505});
}

TEST(DiT, PublishedSizesHaveThePublishedParameterCounts) {
  const auto count = [](int64_t dim, int64_t depth, int64_t heads, int64_t patch) {
    DiTOptions o;
    o.dim = dim;
    o.depth = depth;
    o.heads = heads;
    o.patch = patch;
    o.learn_sigma = true;
    const DiT net(o, at::TensorOptions(at::kMeta));
    EXPECT_EQ(static_cast<int64_t>(net->named_parameters().size()), depth * 10 + 12) << "entries of the state dict";
    return parameter_count(*net);
  };
  EXPECT_EQ(count(384, 12, 6, 2), 32963360);
  EXPECT_EQ(count(384, 12, 6, 4), 32945024);
  EXPECT_EQ(count(384, 12, 6, 8), 33148160);
  EXPECT_EQ(count(768, 12, 12, 2), 130512416);
  EXPECT_EQ(count(768, 12, 12, 4), 130475648);
  EXPECT_EQ(count(768, 12, 12, 8), 130881536);
  EXPECT_EQ(count(1024, 24, 16, 2), 458102816);
  EXPECT_EQ(count(1024, 24, 16, 4), 458053760);
  EXPECT_EQ(count(1024, 24, 16, 8), 458594816);
  EXPECT_EQ(count(1152, 28, 16, 2), 675129632);
  EXPECT_EQ(count(1152, 28, 16, 4), 675074432);
  EXPECT_EQ(count(1152, 28, 16, 8), 675683072);
}

TEST(DiT, StartsAsTheZeroMap) {
  DiT net(small());
  initialize(*net, 1);
  EXPECT_EQ(net->forward(images(), times(), Condition::null()).prediction.abs().max().item<float>(), 0);
  EXPECT_GT(net->forward(images(), times(), Condition::null(), {1}).features.abs().max().item<float>(), 0);
  EXPECT_TRUE(at::equal(net->pos_embed[0], nn::sincos_position_table(16, 2)));
  EXPECT_FALSE(net->pos_embed.requires_grad());
  EXPECT_GT(net->block_list[0]->attn->qkv->weight.abs().max().item<float>(), 0.2);
}

TEST(DiT, FeaturesOnlyStopsAtTheAskedBlock) {
  auto net = filled(small());
  const auto whole = net->forward(images(), times(), Condition::null(), {0});
  {
    const at::NoGradGuard no_grad;
    for (auto& parameter : net->block_list[1]->parameters()) parameter.fill_(std::nan(""));
  }
  const auto part = net->forward(images(), times(), Condition::null(), {0, /*features_only=*/true});
  EXPECT_FALSE(part.prediction.defined());
  EXPECT_TRUE(at::equal(part.features, whole.features));
  EXPECT_EQ(part.features.sizes(), (Shape{3, 4, 16}));
  EXPECT_THROW(net->forward(images(), times(), Condition::null(), {2}), Error);
}

class DiTOfKind : public testing::TestWithParam<ConditionKind> {};

TEST_P(DiTOfKind, DroppedImagesGetTheNullCondition) {
  auto net = filled(small(GetParam()));
  Tensor value = at::tensor({2, 0, 1}, at::kLong);
  if (GetParam() == ConditionKind::kVector) value = test::fixed_normal({3, 16}, 5).to(at::kFloat);
  if (GetParam() == ConditionKind::kPatchVector) value = test::fixed_normal({3, 4, 16}, 5).to(at::kFloat);
  const auto run = [&](const Condition& condition) { return net->forward(images(), times(), condition).prediction; };
  const auto given = run(Condition::given(value)), null = run(Condition::null());
  const auto mixed = run(Condition::given(value, at::tensor({0, 1, 0}).to(at::kBool)));
  EXPECT_TRUE(at::allclose(mixed[0], given[0], 1e-4, 1e-5));
  EXPECT_TRUE(at::allclose(mixed[1], null[1], 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(given[1], null[1], 1e-3, 1e-3)) << "the condition has no influence";
  const bool has_own_token = GetParam() != ConditionKind::kIndex;
  EXPECT_EQ(at::allclose(run(Condition::unconditional()), null, 1e-4, 1e-5), !has_own_token);
}

INSTANTIATE_TEST_SUITE_P(Conditions, DiTOfKind,
                         testing::Values(ConditionKind::kIndex, ConditionKind::kVector, ConditionKind::kPatchVector));

TEST(DiT, RefusesWhatDoesNotFit) {
  auto net = filled(small(ConditionKind::kNone));
  EXPECT_NO_THROW(net->forward(images(), times(), Condition::unconditional()));
  EXPECT_THROW(net->forward(images(), times(), Condition::given(at::zeros({3, 16}))), Error);
  EXPECT_THROW(net->forward(at::zeros({3, 3, 4, 4}), times(), Condition::null()), Error);
  auto wrong = small();
  wrong.dim = 18;
  EXPECT_THROW(DiT{wrong}, UsageError);
  wrong = small();
  wrong.size = 7;
  EXPECT_THROW(DiT{wrong}, UsageError);
}

TEST(DiT, BlockHasTheRightGradient) {
  DiTBlock block(small());
  block->to(at::kDouble);
  std::vector<Tensor> inputs{test::fixed_normal({2, 5, 16}, 1).requires_grad_(),
                             test::fixed_normal({2, 16}, 2).requires_grad_()};
  std::vector<std::string> names{"x", "silu_c"};
  uint64_t seed = 3;
  for (auto& item : block->named_parameters()) {
    const at::NoGradGuard no_grad;
    item.value().copy_(test::fixed_normal(item.value().sizes(), seed++) * 0.3);
    inputs.push_back(item.value());
    names.push_back(item.key());
  }
  test::expect_gradients_match([&] { return block->forward(inputs[0], inputs[1]); }, inputs, names);
}

TEST(DiT, ActivationCheckpointingChangesNoValueAndNoGradient) {
  auto options = small();
  auto plain = filled(options);
  options.activation_checkpointing = true;
  auto kept = filled(options);
  const auto label = Condition::given(at::tensor({1, 4, 5}, at::kLong));
  const auto run = [&](DiT& net) {
    auto velocity = net->forward(images(), times(), label).prediction;
    velocity.pow(2).mean().backward();
    return velocity;
  };
  EXPECT_TRUE(at::equal(run(plain), run(kept)));
  const auto expected = plain->named_parameters();
  for (const auto& item : kept->named_parameters()) {
    if (!item.value().requires_grad()) continue;
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_TRUE(at::allclose(item.value().grad(), expected[item.key()].grad(), 1e-5, 1e-6)) << item.key();
  }
}

TEST(DiT, MultiplyAddsAreThoseOfItsMatrices) {
  auto net = filled(small());
  const int64_t tokens = net->patch_tokens();
  int64_t expected = net->blocks() * 2 * tokens * tokens * net->dim();
  for (const auto& item : net->named_parameters()) {
    const auto& name = item.key();
    if ((item.value().dim() != 2 && item.value().dim() != 4) || name.starts_with("y_embedder")) continue;
    const bool once = name.starts_with("t_embedder") || name.find("adaLN") != std::string::npos;
    expected += (once ? 1 : tokens) * item.value().numel();
  }
  EXPECT_EQ(net->macs(), expected);
}
