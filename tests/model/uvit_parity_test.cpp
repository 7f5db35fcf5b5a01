// U-ViT against stored outputs of the public code (shared/fixtures uvit_*).
#include "sdg/model/uvit.h"

#include <gtest/gtest.h>

#include "head.h"
#include "sdg/core/error.h"
#include "sdg/model/catalog.h"
#include "sdg/nn/embed.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;

namespace {

UViTOptions options_of(const nlohmann::json& config) {
  UViTOptions o;
  o.size = config.at("img_size");
  o.patch = config.at("patch_size");
  o.channels = config.at("in_chans");
  o.dim = config.at("embed_dim");
  o.depth = config.at("depth");
  o.heads = config.at("num_heads");
  o.mlp_ratio = config.at("mlp_ratio");
  o.qkv_bias = config.at("qkv_bias");
  o.mlp_time_embed = config.at("mlp_time_embed");
  o.conv = config.at("conv");
  o.skip = config.at("skip");
  return o;
}

// "in_0", "mid", "out_1" by order of computation.
std::string tap_name(const UViT& net, int64_t depth) {
  const auto half = net->default_feature_depth();
  if (depth == half) return "mid";
  return depth < half ? cat("in_", depth) : cat("out_", depth - half - 1);
}

void compare_taps(test::Fixture& fixture, UViT& net, const Tensor& x, const Tensor& t, const Condition& condition,
                  const std::string& prefix) {
  for (int64_t depth = 0; depth < net->blocks(); ++depth)
    fixture.compare(prefix + tap_name(net, depth),
                    net->forward(x, t, condition, {depth, /*features_only=*/true}).features);
}

void compare_sgfm(test::Fixture& fixture, UViTLayout layout) {
  const at::NoGradGuard no_grad;
  auto options = options_of(fixture.config);
  const bool per_patch = layout == UViTLayout::kSgfmPatch;
  options.layout = layout;
  options.condition = per_patch ? ConditionKind::kPatchVector : ConditionKind::kVector;
  UViT net(options);
  load_weights(*net, fixture.weights(), fixture.name, "", {"projection_head.", "prototypes."});
  net->to(test::device());
  const auto x = fixture.in("x"), t = fixture.in("t"), mask = fixture.in("null_mask");
  const auto y = per_patch ? fixture.in("y").view({x.size(0), net->patch_tokens(), options.dim}) : fixture.in("y");
  const std::string feature = per_patch ? "patch_tokens" : "cls_token_mid";

  const auto run = [&](const std::string& name, const Condition& condition, bool training) {
    const auto out = net->forward(x, t, condition, {net->default_feature_depth()});
    const auto features =
        per_patch ? out.features.slice(1, net->extra_tokens()).flatten(0, 1) : out.features.select(1, 0);
    test::Head head{fixture.weights(), fixture.config.at("normalize")};
    for (auto& [key, value] : head.weights) value = value.clone();
    const auto [embedding, scores] = head(features, training);
    fixture.compare(name + ".x", out.prediction);
    fixture.compare(name + "." + feature, features);
    fixture.compare(name + ".embed", embedding);
    fixture.compare(name + ".softlabel", scores);
    if (fixture.has("out." + name + ".bn_running_mean")) {
      fixture.compare(name + ".bn_running_mean", head.weights.at("projection_head.1.running_mean"));
      fixture.compare(name + ".bn_running_var", head.weights.at("projection_head.1.running_var"));
    }
    return std::make_pair(out.prediction, scores);
  };
  const auto scores = run("stage1", Condition::unconditional(), false).second;
  const auto conditional = run("stage2", Condition::given(y), false).first;
  const auto null = run("null", Condition::null(), false).first;
  run("train1", Condition::unconditional(), true);
  run("train2", Condition::given(y, mask), true);
  compare_taps(fixture, net, x, t, Condition::unconditional(), "stage1.tap.");
  fixture.compare("cfg.x", conditional + fixture.in("cfg_scale") * (conditional - null));
  fixture.compare("cluster_ids", scores.argmax(1));
  fixture.compare("cluster_y", fixture.weights().at("prototypes.weight").index_select(0, scores.argmax(1)));
  fixture.expect_all_compared();
}

}  // namespace

TEST(UViTParity, OriginalUViTGivesThePublicOutputsAndTapsOfEveryBlock) {
  test::for_each_fixture("uvit_baofff", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    auto options = options_of(fixture.config);
    options.layout = UViTLayout::kBaofff;
    const int64_t labels = fixture.config.at("num_classes");
    if (labels > 0) {
      options.condition = ConditionKind::kIndex;
      options.classes = labels;
      options.null_label = false;
    }
    UViT net(options);
    load_weights(*net, fixture.weights(), fixture.name);
    net->to(test::device());
    const auto x = fixture.in("x"), t = fixture.in("t");
    const auto condition = labels > 0 ? Condition::given(fixture.in("y")) : Condition::unconditional();
    fixture.compare("x", net->forward(x, t, condition).prediction);
    fixture.compare("time_embedding", nn::time_embedding(t, options.dim));
    compare_taps(fixture, net, x, t, condition, "tap.");
    fixture.expect_all_compared();
  });
}

TEST(UViTParity, ImageLevelPrototypesGiveThePublicOutputs) {
  test::for_each_fixture("uvit_sgfm_image", [](test::Fixture& fixture) { compare_sgfm(fixture, UViTLayout::kSgfm); });
}

TEST(UViTParity, PatchLevelPrototypesGiveThePublicOutputs) {
  test::for_each_fixture("uvit_sgfm_patch",
                         [](test::Fixture& fixture) { compare_sgfm(fixture, UViTLayout::kSgfmPatch); });
}
