#include "sdg/model/recognise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/model/catalog.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

namespace {

Tensors state_of(const torch::nn::Module& network) {
  Tensors out;
  for (const auto& item : network.named_parameters()) out.emplace(item.key(), item.value());
  for (const auto& item : network.named_buffers()) out.emplace(item.key(), item.value());
  return out;
}

Tensors state_of(const ModelOptions& options, const ModelShape& shape) {
  return state_of(*build(options, shape, 0, at::kMeta));
}

}  // namespace

TEST(Recognise, EveryPresetOfATransformerIsToldFromItsShapesAlone) {
  for (const auto& preset : presets()) {
    if (preset.family == "adm" || preset.family == "sg") continue;  // a U-Net's weights tell neither side nor heads
    for (const auto condition : {ConditionKind::kNone, ConditionKind::kIndex, ConditionKind::kVector}) {
      ModelOptions options;
      options.name = preset.name;
      options.learn_sigma = preset.family != "uvit" && condition == ConditionKind::kIndex;
      const ModelShape shape{.size = 8 * preset.patch, .channels = 4, .condition = condition, .classes = 10};
      const auto found = recognise(state_of(options, shape), preset.family);
      ASSERT_TRUE(found) << preset.name;
      EXPECT_EQ(found->options.name, preset.name);
      EXPECT_EQ(found->family, preset.family);
      EXPECT_EQ(found->shape.size, shape.size);
      EXPECT_EQ(found->shape.channels, 4);
      EXPECT_EQ(found->shape.condition, condition) << preset.name;
      EXPECT_EQ(found->shape.classes, condition == ConditionKind::kIndex ? 10 : 0);
      EXPECT_EQ(found->options.learn_sigma, options.learn_sigma);
      EXPECT_TRUE(found->heads_known);
      EXPECT_TRUE(found->fits()) << preset.name;
    }
  }
}

TEST(Recognise, PublishedAdmNetworksAreToldFromTheirShapes) {
  for (const std::string name : {"adm-64", "adm-128", "adm-256", "adm-512", "adm-tiny"}) {
    for (const bool labels : {false, true}) {
      ModelOptions options;
      options.name = name;
      options.learn_sigma = labels;
      options.null_label = false;
      const auto state = state_of(options, {.size = 64,
                                            .channels = 3,
                                            .condition = labels ? ConditionKind::kIndex : ConditionKind::kNone,
                                            .classes = 1000});
      const auto found = recognise(state);
      ASSERT_TRUE(found) << name;
      EXPECT_EQ(found->options.name, name);
      EXPECT_EQ(found->shape.classes, labels ? 1000 : 0);
      EXPECT_EQ(found->options.learn_sigma, labels);
      EXPECT_EQ(found->options.prediction, flow::Target::kNoise);
      EXPECT_TRUE(found->fits()) << name;
    }
  }
  ModelOptions options;
  options.name = "adm-64";
  auto state = state_of(options, {.size = 64, .channels = 3});
  state.erase("out.0.bias");
  EXPECT_FALSE(recognise(state)->fits());
}

TEST(Recognise, TheThreeTokenLayoutsOfUViTAreToldApart) {
  ModelOptions options;
  ModelShape shape{.size = 16, .channels = 3, .condition = ConditionKind::kNone};
  for (const auto layout : {Layout::kBaofff, Layout::kSgfm, Layout::kSgfmPatch}) {
    options.layout = layout;
    EXPECT_EQ(recognise(state_of(options, shape))->options.layout, layout);
  }
  options.layout = model::Layout::kAuto;
  shape.condition = ConditionKind::kPatchVector;
  const auto found = recognise(state_of(options, shape));
  EXPECT_EQ(found->options.layout, model::Layout::kSgfmPatch);
  EXPECT_EQ(found->shape.condition, ConditionKind::kPatchVector);
  EXPECT_TRUE(found->fits());
}

TEST(Recognise, DiTAndSiTAreAQuestionForTheCaller) {
  ModelOptions options;
  options.name = "dit-S/4";
  const auto state =
      state_of(options, {.size = 32, .channels = 4, .condition = ConditionKind::kIndex, .classes = 1000});
  EXPECT_THAT(recognise(state)->candidates, ElementsAre("dit", "sit"));
  EXPECT_EQ(recognise(state, "sit")->options.name, "sit-S/4");
  EXPECT_EQ(recognise(state, "sit")->prediction, flow::Target::kVelocity);
  EXPECT_EQ(recognise(state, "dit")->prediction, flow::Target::kNoise);
  EXPECT_EQ(recognise(state, "dit")->options.prediction, flow::Target::kNoise);
  EXPECT_EQ(recognise(state, "dit")->options.path, flow::Path::kLinear);
  EXPECT_EQ(recognise(state, "sit")->options.path, flow::Path::kStraight);
  EXPECT_THAT(recognise(state, "sit")->candidates, ElementsAre("sit"));
  EXPECT_THROW(recognise(state, "uvit"), UsageError);
}

TEST(Recognise, WhatIsMissingUnexpectedAndMisshapenIsNamed) {
  ModelOptions options;
  options.name = "sit-S/2";
  auto state = state_of(options, {.size = 16, .channels = 4, .condition = ConditionKind::kNone});
  state.erase("blocks.3.mlp.fc2.bias");
  state["blocks.3.mlp.fc9.bias"] = at::zeros({1});
  state["t_embedder.mlp.0.weight"] = at::zeros({3, 256});
  const auto found = recognise(state, "sit");
  EXPECT_THAT(found->missing, ElementsAre("blocks.3.mlp.fc2.bias"));
  EXPECT_THAT(found->unexpected, ElementsAre("blocks.3.mlp.fc9.bias"));
  EXPECT_THAT(found->misshapen, ElementsAre("t_embedder.mlp.0.weight [3, 256] instead of [384, 256]"));
  EXPECT_FALSE(found->fits());
  state["pos_embed"] = at::zeros({1, 63, 384});
  EXPECT_THAT(recognise(state)->misshapen, ElementsAre(HasSubstr("instead of a square grid")));
}

TEST(Recognise, OtherTensorsAreNoKnownNetwork) {
  EXPECT_FALSE(recognise({}));
  EXPECT_FALSE(recognise({{"conv1.weight", at::zeros({16, 3, 3, 3})}}));
  EXPECT_FALSE(recognise({{"pos_embed", at::zeros({1})}, {"x_embedder.proj.weight", at::zeros({})}}));
}

TEST(Recognise, HostileShapesAreReportedNotBuilt) {
  Tensors state;
  for (const char* name : {"decoder_pred.weight", "mid_block.attn.qkv.weight"}) state[name] = at::zeros({1, 1});
  state["pos_embed"] = at::zeros({1, 1, 1});
  state["patch_embed.proj.weight"] = at::zeros({1, 1, 5, 2});
  EXPECT_FALSE(recognise(state)->fits());
  state["pos_embed"] = at::empty({1, 5, 7});
  state["patch_embed.proj.weight"] = at::empty({7, 1, 1 << 20, 1}, at::kMeta);
  EXPECT_FALSE(recognise(state)->fits());
}

TEST(Positions, OfTheSameGridStayAsTheyAre) {
  const auto positions = at::arange(2 * 18, at::kFloat).view({1, 18, 2});
  EXPECT_TRUE(at::allclose(resize_positions(positions, 2, 4), positions));
}

TEST(Positions, AreResizedAsAPictureBesideTheExtraTokens) {
  // A picture linear in row and column stays linear in its inside: value 10 r + c at (r, c) of 4 x 4, now 8 x 8.
  auto positions = at::zeros({1, 17, 1});
  positions[0][0][0] = -5;
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c) positions[0][1 + r * 4 + c][0] = 10 * r + c;
  const auto resized = resize_positions(positions, 1, 8);
  ASSERT_EQ(resized.sizes(), (Shape{1, 65, 1}));
  EXPECT_EQ(resized[0][0][0].item<float>(), -5);
  for (int r = 1; r < 7; ++r) {
    for (int c = 1; c < 7; ++c) {  // pixel centres: (r + 0.5) / 2 - 0.5
      const double expected = 10 * ((r + 0.5) / 2 - 0.5) + ((c + 0.5) / 2 - 0.5);
      EXPECT_NEAR(resized[0][1 + r * 8 + c][0].item<double>(), expected, 1e-5) << r << " " << c;
    }
  }
  EXPECT_THROW(resize_positions(positions, 2, 8), Error);
}
