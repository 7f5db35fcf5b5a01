#include "sdg/model/uvit.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "nn/finite_difference.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"

using namespace sdg;
using namespace sdg::model;

namespace {

UViTOptions small(ConditionKind condition = ConditionKind::kVector) {
  UViTOptions o;
  o.size = 4;
  o.channels = 2;
  o.dim = 16;
  o.depth = 4;
  o.heads = 2;
  o.condition = condition;
  o.classes = condition == ConditionKind::kIndex ? 3 : 0;
  if (condition == ConditionKind::kPatchVector) o.layout = UViTLayout::kSgfmPatch;
  return o;
}

UViT made(const UViTOptions& options, uint64_t seed = 1) {
  UViT net(options);
  initialize(*net, seed);
  return net;
}

Tensor images(int64_t n = 3) {
  return test::fixed_normal({n, 2, 4, 4}, 1).to(at::kFloat);
}
Tensor times(int64_t n = 3) {
  return at::linspace(0.1, 0.9, n);
}

void fill_with_nan(torch::nn::Module& module) {
  const at::NoGradGuard no_grad;
  for (auto& parameter : module.parameters()) parameter.fill_(std::numeric_limits<float>::quiet_NaN());
}

int64_t meta_count(UViTOptions o) {
  return parameter_count(*UViT(o, at::TensorOptions(at::kMeta)));
}

UViTOptions original(int64_t size, int64_t patch, int64_t channels, int64_t dim, int64_t depth, int64_t heads,
                     int64_t classes, bool null_label, bool conv) {
  UViTOptions o;
  o.size = size;
  o.patch = patch;
  o.channels = channels;
  o.dim = dim;
  o.depth = depth;
  o.heads = heads;
  o.classes = classes;
  o.null_label = null_label;
  o.condition = classes > 0 ? ConditionKind::kIndex : ConditionKind::kNone;
  o.conv = conv;
  o.layout = UViTLayout::kBaofff;
  return o;
}

}  // namespace

TEST(UViT, PublishedConfigurationsHaveThePublishedParameterCounts) {
  EXPECT_EQ(meta_count(original(32, 2, 3, 512, 12, 8, 0, false, true)), 44255328) << "CIFAR-10 S/2";
  EXPECT_EQ(meta_count(original(64, 4, 3, 768, 16, 12, 1000, false, true)), 130940292) << "ImageNet64 M/4";
  EXPECT_EQ(meta_count(original(32, 2, 4, 1024, 20, 16, 1000, true, true)), 286763172) << "ImageNet256 L/2";
  EXPECT_EQ(meta_count(original(32, 2, 4, 1152, 28, 16, 1000, true, false)), 500832016) << "ImageNet256 H/2";
}

// sgfm's network = this trunk + head (D -> D/2 -> D) + K prototypes of width D.
TEST(UViT, SgfmNetworksHaveThePublishedParameterCounts) {
  const int64_t d = 1024, head = d * d / 2 + d / 2 + 2 * (d / 2) + d / 2 * d + d;
  UViTOptions o;
  o.condition = ConditionKind::kVector;
  EXPECT_EQ(meta_count(o) + head + 300 * d, 287100580);
  EXPECT_EQ(meta_count(o) + head + 5000 * d, 291913380);
  o.layout = UViTLayout::kSgfmPatch;
  o.condition = ConditionKind::kPatchVector;
  EXPECT_EQ(meta_count(o) + head + 300 * d, 287099556);
}

TEST(UViT, FeaturesOnlyStopsAtTheAskedBlock) {
  auto net = made(small());
  const at::NoGradGuard no_grad;
  const int64_t depth = net->default_feature_depth();
  const auto whole = net->forward(images(), times(), Condition::unconditional(), {depth});
  fill_with_nan(*net->out_blocks[0]);
  fill_with_nan(*net->decoder_pred);
  const auto part = net->forward(images(), times(), Condition::unconditional(), {depth, /*features_only=*/true});
  EXPECT_FALSE(part.prediction.defined());
  EXPECT_TRUE(at::equal(part.features, whole.features));
  EXPECT_EQ(whole.features.sizes(), (Shape{3, net->extra_tokens() + net->patch_tokens(), 16}));
  EXPECT_TRUE(net->forward(images(), times(), Condition::unconditional()).prediction.isnan().all().item<bool>())
      << "the poison is not reached";
}

TEST(UViT, AskingForFeaturesDoesNotChangeTheVelocity) {
  auto net = made(small());
  const auto plain = net->forward(images(), times(), Condition::null());
  EXPECT_FALSE(plain.features.defined());
  for (int64_t depth = 0; depth < net->blocks(); ++depth)
    EXPECT_TRUE(at::equal(net->forward(images(), times(), Condition::null(), {depth}).prediction, plain.prediction));
  EXPECT_THROW(net->forward(images(), times(), Condition::null(), {net->blocks()}), Error);
  EXPECT_THROW(net->forward(images(), times(), Condition::null(), {-1, true}), Error);
}

TEST(UViT, LongSkipsPairTheFirstBlockWithTheLast) {
  auto net = made(small());
  const at::NoGradGuard no_grad;
  // Only the last block still looks at its skip; poison in what the first block adds must come through, and through it
  // alone.
  const int64_t d = net->dim();
  net->out_blocks[0]->skip_linear->weight.slice(1, d).zero_();
  const auto before = net->forward(images(), times(), Condition::null(), {net->blocks() - 2}).features;
  net->out_blocks[1]->skip_linear->weight.slice(1, 0, d).zero_();  // the last block sees its skip alone
  const auto velocity = net->forward(images(), times(), Condition::null()).prediction;
  net->mid_block->mlp->fc2->bias.add_(1);
  net->in_blocks[1]->mlp->fc2->bias.add_(1);
  EXPECT_TRUE(at::equal(net->forward(images(), times(), Condition::null()).prediction, velocity));
  EXPECT_FALSE(at::equal(net->forward(images(), times(), Condition::null(), {net->blocks() - 2}).features, before));
  net->in_blocks[0]->mlp->fc2->bias.add_(at::arange(16));
  EXPECT_FALSE(at::equal(net->forward(images(), times(), Condition::null()).prediction, velocity));
}

class UViTOfKind : public testing::TestWithParam<ConditionKind> {
 protected:
  Tensor value() const {
    switch (GetParam()) {
      case ConditionKind::kIndex:
        return at::tensor({2, 0, 1}, at::kLong);
      case ConditionKind::kVector:
        return test::fixed_normal({3, 16}, 5).to(at::kFloat);
      default:
        return test::fixed_normal({3, 4, 16}, 5).to(at::kFloat);
    }
  }
};

TEST_P(UViTOfKind, DroppedImagesGetTheNullCondition) {
  auto net = made(small(GetParam()));
  const auto run = [&](const Condition& condition) { return net->forward(images(), times(), condition).prediction; };
  const auto given = run(Condition::given(value())), null = run(Condition::null());
  const auto mixed = run(Condition::given(value(), at::tensor({0, 1, 0}).to(at::kBool)));
  EXPECT_TRUE(at::allclose(mixed[0], given[0], 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(mixed[1], null[1], 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(mixed[2], given[2], 1e-5, 1e-6));
  EXPECT_FALSE(at::allclose(given[1], null[1], 1e-3, 1e-4)) << "the condition has no influence";
}

INSTANTIATE_TEST_SUITE_P(Conditions, UViTOfKind,
                         testing::Values(ConditionKind::kIndex, ConditionKind::kVector, ConditionKind::kPatchVector));

TEST(UViT, PatchesCanBeDroppedOneByOne) {
  auto net = made(small(ConditionKind::kPatchVector));
  const auto y = test::fixed_normal({3, 4, 16}, 5).to(at::kFloat);
  auto drop = at::zeros({3, 4}, at::kBool);
  drop[1][2] = true;
  auto by_hand = y.clone();
  by_hand[1][2] = net->null_cfg_embed.detach().flatten();
  const auto run = [&](const Condition& condition) { return net->forward(images(), times(), condition).prediction; };
  EXPECT_TRUE(at::allclose(run(Condition::given(y, drop)), run(Condition::given(by_hand)), 1e-5, 1e-6));
}

TEST(UViT, WithoutAConditionAlwaysUsesTheUnconditionalToken) {
  auto net = made(small(ConditionKind::kNone));
  EXPECT_TRUE(at::equal(net->forward(images(), times(), Condition::null()).prediction,
                        net->forward(images(), times(), Condition::unconditional()).prediction));
  EXPECT_THROW(net->forward(images(), times(), Condition::given(at::zeros({3, 16}))), Error);
}

TEST(UViT, RefusesWhatDoesNotFit) {
  auto net = made(small(ConditionKind::kIndex));
  const auto run = [&](const Tensor& x, const Tensor& t, const Condition& condition) { net->forward(x, t, condition); };
  EXPECT_THROW(run(at::zeros({3, 2, 6, 6}), times(), Condition::null()), Error);
  EXPECT_THROW(run(images(), times(2), Condition::null()), Error);
  EXPECT_THROW(run(images(), times(), Condition::given(at::tensor({0, 1, 4}, at::kLong))), Error);
  EXPECT_THROW(run(images(), times(), Condition::given(at::tensor({0, 1, -1}, at::kLong))), Error);
  EXPECT_THROW(run(images(), times(), Condition::given(at::tensor({0, 1}, at::kLong))), Error);
  EXPECT_THROW(run(images(), times(), Condition::given(at::zeros({3, 16}))), Error);
  EXPECT_THROW(run(images(), times(), Condition::given({})), Error);
  auto wrong = small();
  wrong.heads = 3;
  EXPECT_THROW(UViT{wrong}, UsageError);
  wrong = small();
  wrong.size = 5;
  EXPECT_THROW(UViT{wrong}, UsageError);
  wrong = small();
  wrong.layout = UViTLayout::kBaofff;
  EXPECT_THROW(UViT{wrong}, UsageError);
  wrong = original(4, 2, 2, 16, 4, 2, 3, false, true);
  EXPECT_THROW(made(wrong)->forward(images(), times(), Condition::null()), Error) << "no null label";
}

TEST(UViT, BlockWithSkipHasTheRightGradient) {
  UViTOptions o = small();
  o.qkv_bias = true;
  UViTBlock block(o, /*with_skip=*/true);
  block->to(at::kDouble);
  std::vector<Tensor> inputs{test::fixed_normal({2, 5, 16}, 1).requires_grad_(),
                             test::fixed_normal({2, 5, 16}, 2).requires_grad_()};
  std::vector<std::string> names{"x", "skip"};
  uint64_t seed = 3;
  for (auto& item : block->named_parameters()) {
    const at::NoGradGuard no_grad;
    item.value().copy_(test::fixed_normal(item.value().sizes(), seed++) * 0.3);
    inputs.push_back(item.value());
    names.push_back(item.key());
  }
  test::expect_gradients_match([&] { return block->forward(inputs[0], inputs[1]); }, inputs, names);
}

TEST(UViT, ActivationCheckpointingChangesNoValueAndNoGradient) {
  auto options = small();
  auto plain = made(options);
  options.activation_checkpointing = true;
  auto kept = made(options);
  const auto y = Condition::given(test::fixed_normal({3, 16}, 5).to(at::kFloat), at::tensor({0, 1, 0}).to(at::kBool));
  const auto run = [&](UViT& net) {
    auto out = net->forward(images(), times(), y, {net->default_feature_depth()});
    (out.prediction.pow(2).mean() + out.features.pow(3).mean()).backward();
    return out.prediction;
  };
  EXPECT_TRUE(at::equal(run(plain), run(kept)));
  const auto expected = plain->named_parameters();
  for (const auto& item : kept->named_parameters()) {
    ASSERT_EQ(item.value().grad().defined(), expected[item.key()].grad().defined()) << item.key();
    if (item.value().grad().defined())
      EXPECT_TRUE(at::allclose(item.value().grad(), expected[item.key()].grad(), 1e-6, 1e-7)) << item.key();
  }
}

TEST(UViT, ThreadsMayShareOneNetwork) {
  auto net = made(small());
  const auto gradient = [&](int64_t first) {
    const auto x = test::fixed_normal({4, 2, 4, 4}, static_cast<uint64_t>(first)).to(at::kFloat);
    std::vector<Tensor> wanted{net->pos_embed, net->mid_block->attn->qkv->weight};
    return torch::autograd::grad({net->forward(x, times(4), Condition::null()).prediction.pow(2).sum()}, wanted);
  };
  std::vector<std::vector<Tensor>> alone, together(4);
  for (int64_t i = 0; i < 4; ++i) alone.push_back(gradient(i));
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      at::set_num_threads(1);
      for (int repeat = 0; repeat < 5; ++repeat) together[i] = gradient(i);
    });
  for (auto& thread : threads) thread.join();
  for (int64_t i = 0; i < 4; ++i)
    for (size_t part = 0; part < 2; ++part) EXPECT_TRUE(at::allclose(together[i][part], alone[i][part], 1e-5, 1e-6));
}

TEST(UViT, InitialWeightsFollowThePublicCode) {
  auto net = made(small(ConditionKind::kVector), 7);
  UViTOptions wide = small();
  wide.dim = 256;
  wide.mlp_time_embed = true;
  auto big = made(wide);
  EXPECT_NEAR(big->mid_block->mlp->fc1->weight.std().item<double>(), 0.02, 0.0005);
  EXPECT_NEAR(big->cls_token.std().item<double>(), 1, 0.3);
  EXPECT_NEAR(big->pos_embed.std().item<double>(), 0.02, 0.002);
  EXPECT_EQ(big->mid_block->mlp->fc1->bias.abs().sum().item<double>(), 0);
  EXPECT_EQ(big->norm->weight.min().item<double>(), 1);
  EXPECT_GT(big->patch_embed->proj->bias.abs().max().item<double>(), 0.1);
  // Weights shared by two networks of different conditions are the same numbers.
  auto other = made(small(ConditionKind::kIndex), 7);
  EXPECT_TRUE(at::equal(other->in_blocks[1]->attn->qkv->weight, net->in_blocks[1]->attn->qkv->weight));
  EXPECT_FALSE(at::equal(net->in_blocks[0]->attn->qkv->weight, net->in_blocks[1]->attn->qkv->weight));
  for (const auto& item : net->named_parameters()) {
    const bool is_bias = item.key().ends_with("bias") && !item.key().starts_with("patch_embed") &&
                         !item.key().starts_with("final_layer");
    EXPECT_EQ(item.value().abs().max().item<float>() == 0, is_bias) << item.key();
  }
}

// What the network puts out at first is then what its decoder says of each patch, and of no other.
TEST(UViT, ByFanInItsLastConvolutionHandsTheDecodedPatchesThrough) {
  UViT net(small());
  initialize(*net, 1, nn::InitialValues::kFanIn);
  const auto whole = net->forward(images(), times(), Condition::null()).prediction;
  net->final_layer = nullptr;
  EXPECT_TRUE(at::equal(net->forward(images(), times(), Condition::null()).prediction, whole));
}

TEST(UViT, ByFanInLinearLayersFillTheirIntervalAndBiasesAreZero) {
  UViT net(small());
  initialize(*net, 1, nn::InitialValues::kFanIn);
  for (const auto& item : net->named_parameters()) {
    if (item.value().dim() != 2) continue;
    const double bound = 1 / std::sqrt(static_cast<double>(item.value().size(1)));
    const double largest = item.value().abs().max().item<double>();
    EXPECT_TRUE(largest <= bound && largest > 0.9 * bound) << item.key() << " " << largest << " of " << bound;
  }
  EXPECT_EQ(net->mid_block->mlp->fc1->bias.abs().max().item<float>(), 0);
}

// Counted from the weights: every matrix is applied once to every token it sees.
TEST(UViT, MultiplyAddsAreThoseOfItsMatrices) {
  auto options = small();
  options.mlp_time_embed = true;
  auto net = made(options);
  const int64_t patches = net->patch_tokens(), tokens = patches + net->extra_tokens();
  int64_t expected = net->blocks() * 2 * tokens * tokens * net->dim();
  for (const auto& item : net->named_parameters()) {
    const auto& name = item.key();
    if (item.value().dim() != 2 && item.value().dim() != 4) continue;
    const bool per_patch = name.starts_with("patch_embed") || name.starts_with("decoder_pred");
    const int64_t rows = per_patch                         ? patches
                         : name.starts_with("time_embed")  ? 1
                         : name.starts_with("final_layer") ? 16
                                                           : tokens;
    expected += rows * item.value().numel();
  }
  EXPECT_EQ(net->macs(), expected);
}
