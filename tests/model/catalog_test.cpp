#include "sdg/model/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "fill_rule.h"
#include "nn/finite_difference.h"
#include "sdg/core/error.h"
#include "sdg/model/dit.h"
#include "sdg/model/uvit.h"

using namespace sdg;
using namespace sdg::model;
using testing::HasSubstr;

namespace {

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

ModelShape shape(ConditionKind condition, int64_t size = 8) {
  return {.size = size, .channels = 1, .condition = condition, .classes = condition == ConditionKind::kIndex ? 4 : 0};
}

}  // namespace

TEST(Catalog, EveryPresetBuildsAtFullSizeOnTheMetaDevice) {
  std::set<std::string> names;
  for (const auto& preset : presets()) {
    ModelOptions options;
    options.name = preset.name;
    const auto net =
        build(options, {.size = 64, .channels = 4, .condition = ConditionKind::kIndex, .classes = 1000}, 1, at::kMeta);
    EXPECT_TRUE(names.insert(preset.name).second) << preset.name << " stands twice";
    const auto dim = preset.family == "adm" ? 4 * preset.dim : preset.family == "sg" ? 1000 : preset.dim;
    const bool is_unet = preset.family == "adm" || preset.family == "sg";
    const auto side = is_unet ? 64 >> (preset.unet.levels.size() - 1) : 64 / preset.patch;
    EXPECT_EQ(net->dim(), dim) << preset.name;
    EXPECT_EQ(net->patch_tokens(), side * side) << preset.name;
    EXPECT_EQ(net->feature_tokens(net->default_feature_depth()), side * side) << preset.name;
    EXPECT_GT(net->macs(), 0) << preset.name;
    for (const auto& parameter : net->parameters()) ASSERT_TRUE(parameter.is_meta()) << preset.name;
  }
  for (const auto* name :
       {"uvit-tiny/2",  "uvit-S/2",         "uvit-S/4",  "uvit-M/4",       "uvit-L/2",          "uvit-L/4",
        "uvit-H/2",     "dit-S/8",          "dit-B/4",   "dit-L/2",        "dit-XL/2",          "sit-S/2",
        "sit-B/8",      "sit-L/4",          "sit-XL/2",  "dit-tiny/2",     "sit-tiny/2",        "adm-tiny",
        "adm-64",       "adm-128",          "adm-256",   "adm-512",        "adm-lsun",          "sg-unet",
        "sg-unet-fast", "sg-unet-fast-s64", "sg-unetca", "sg-unetca-fast", "sg-unetca-fast-s64"})
    EXPECT_TRUE(names.count(name)) << name;
}

TEST(Catalog, EveryFamilyAndConditionGivesAVelocityAndFeatures) {
  for (const auto* name : {"uvit-tiny/2", "dit-tiny/2", "sit-tiny/4"}) {
    for (const auto condition :
         {ConditionKind::kNone, ConditionKind::kIndex, ConditionKind::kVector, ConditionKind::kPatchVector}) {
      ModelOptions options;
      options.name = name;
      const auto net = build(options, shape(condition), 1);
      const auto out = net->forward(at::ones({2, 1, 8, 8}), at::full({2}, 0.5), Condition::unconditional(),
                                    {net->default_feature_depth()});
      EXPECT_EQ(out.prediction.sizes(), (Shape{2, 1, 8, 8})) << name << " " << config::name(condition);
      EXPECT_EQ(out.features.sizes(), (Shape{2, net->extra_tokens() + net->patch_tokens(), 64}))
          << name << " " << config::name(condition);
      EXPECT_LT(net->default_feature_depth(), net->blocks());
    }
  }
}

TEST(Catalog, ManyDepthsInOnePassAreTheSinglePassesBitForBit) {
  const at::NoGradGuard no_grad;
  for (const auto* name : {"uvit-tiny/2", "dit-tiny/2", "sit-tiny/4", "adm-tiny", "sg-unet-fast", "sg-unetca-fast"}) {
    ModelOptions options;
    options.name = name;
    if (std::string(name).find("tiny/") == std::string::npos) options.dim = 32;
    const auto net = build(options, shape(ConditionKind::kIndex), 1);
    test::fill(*net);  // fresh blocks may do nothing, and then all depths are alike
    const auto x = test::fixed_normal({2, 1, 8, 8}, 1).to(at::kFloat), t = at::tensor({0.3F, 0.8F});
    const auto pass = [&](const ForwardOptions& how) { return net->forward(x, t, Condition::null(), how); };
    std::vector<int64_t> depths;
    for (int64_t depth = net->blocks() - 2; depth >= 0; --depth) depths.push_back(depth);  // any order will do

    ForwardOptions many;
    many.feature_depths = depths;
    many.feature_depth = 1;
    const auto whole = pass(many);
    many.features_only = true;
    const auto part = pass(many);
    EXPECT_TRUE(at::equal(whole.prediction, pass({}).prediction)) << name;
    EXPECT_FALSE(part.prediction.defined()) << name;
    ASSERT_EQ(part.all_features.size(), depths.size()) << name;
    for (size_t i = 0; i < depths.size(); ++i) {
      const auto alone = pass({depths[i], /*features_only=*/true}).features;
      EXPECT_TRUE(at::equal(part.all_features[i], alone)) << name << " " << depths[i];
      EXPECT_TRUE(at::equal(whole.all_features[i], alone)) << name << " " << depths[i];
      if (depths[i] == 1) EXPECT_TRUE(at::equal(whole.features, alone)) << name;
      if (i > 0 && alone.sizes() == part.all_features[i - 1].sizes())
        EXPECT_FALSE(at::equal(alone, part.all_features[i - 1])) << name << " " << depths[i];
    }
    for (const int64_t wrong : {int64_t{-1}, net->blocks()}) {
      many.feature_depths = {0, wrong};
      EXPECT_THROW(pass(many), Error) << name;
    }
  }
}

// Counts of the public code (commits in docs/math.md, "Formula weights").
TEST(Catalog, PublishedNetworksHaveThePublishedParameters) {
  const auto count = [](const std::string& name, const ModelShape& what) {
    ModelOptions options;
    options.name = name;
    options.layout = model::Layout::kBaofff;
    options.learn_sigma = !name.starts_with("uvit") && !name.starts_with("sg");
    options.null_label = name != "uvit-M/4" && !name.starts_with("adm");
    return parameter_count(*build(options, what, 1, at::kMeta));
  };
  const ModelShape latents{.size = 32, .channels = 4, .condition = ConditionKind::kIndex, .classes = 1000};
  const std::vector<std::pair<std::string, int64_t>> of_latents{
      {"S/2", 32963360},  {"S/4", 32945024},   {"S/8", 33148160},   {"B/2", 130512416},
      {"B/4", 130475648}, {"B/8", 130881536},  {"L/2", 458102816},  {"L/4", 458053760},
      {"L/8", 458594816}, {"XL/2", 675129632}, {"XL/4", 675074432}, {"XL/8", 675683072}};
  for (const auto& [size, parameters] : of_latents) {
    EXPECT_EQ(count("dit-" + size, latents), parameters) << size;
    EXPECT_EQ(count("sit-" + size, latents), parameters) << size;
  }
  EXPECT_EQ(count("uvit-L/2", latents), 286763172);
  EXPECT_EQ(count("uvit-H/2", latents), 500832016);
  EXPECT_EQ(count("uvit-S/2", {.size = 32, .channels = 3, .condition = ConditionKind::kNone}), 44255328);
  const auto images = [](int64_t size) {
    return ModelShape{.size = size, .channels = 3, .condition = ConditionKind::kIndex, .classes = 1000};
  };
  EXPECT_EQ(count("uvit-M/4", images(64)), 130940292);
  EXPECT_EQ(count("adm-256", images(256)), 553838086);
  EXPECT_EQ(count("adm-64", images(64)), 295904454);
  EXPECT_EQ(count("sg-unet-fast", {.size = 32, .channels = 3, .condition = ConditionKind::kIndex, .classes = 5000}),
            75281803);
}

TEST(Catalog, UNetsCarryTheirConditionsOnSmallImages) {
  using enum ConditionKind;
  const std::vector<std::pair<std::string, std::vector<ConditionKind>>> can{
      {"adm-tiny", {kNone, kIndex, kVector}},
      {"sg-unet-fast", {kNone, kIndex, kVector}},
      {"sg-unetca-fast", {kNone, kIndex, kVector, kPatchVector}}};
  for (const auto& [name, conditions] : can)
    for (const auto condition : conditions) {
      ModelOptions options;
      options.name = name;
      options.dim = 32;
      const auto net = build(options, shape(condition), 1);
      const auto depth = net->default_feature_depth();
      const auto out = net->forward(at::ones({2, 1, 8, 8}), at::full({2}, 0.5), Condition::null(), {depth});
      EXPECT_EQ(out.prediction.sizes(), (Shape{2, 1, 8, 8})) << name << " " << config::name(condition);
      EXPECT_EQ(out.features.sizes(), (Shape{2, net->feature_tokens(depth), net->feature_dim(depth)}))
          << name << " " << config::name(condition);
      if (condition != kVector) continue;
      const auto told = Condition::given(at::ones({2, net->dim()}));
      EXPECT_EQ(net->forward(at::ones({2, 1, 8, 8}), at::full({2}, 0.5), told).prediction.sizes(), (Shape{2, 1, 8, 8}));
    }
  ModelOptions options;
  options.name = "adm-tiny";
  EXPECT_THAT(message_of([&] { build(options, shape(ConditionKind::kPatchVector), 1); }), HasSubstr("patch_vector"));
  EXPECT_THAT(message_of([&] { build(options, shape(ConditionKind::kNone, 9), 1); }), HasSubstr("multiple of 2"));
}

TEST(Catalog, TheNetworkSaysWhatItPredicts) {
  ModelOptions options;
  EXPECT_EQ(build(options, shape(ConditionKind::kNone), 1)->predicts(), flow::Prediction{});
  options.prediction = flow::Target::kNoise;
  options.path = flow::Path::kCosine;
  EXPECT_EQ(build(options, shape(ConditionKind::kNone), 1)->predicts(),
            (flow::Prediction{flow::Target::kNoise, flow::Path::kCosine}));
}

// Public DiT sees the step number; on the straight path that is a thousand times t.
TEST(Catalog, StepNumbersReachTheNetworkAsTheyAre) {
  ModelOptions options;
  options.name = "dit-tiny/2";
  const auto straight = std::dynamic_pointer_cast<DiTImpl>(build(options, shape(ConditionKind::kNone), 1));
  options.prediction = flow::Target::kNoise;
  options.path = flow::Path::kLinear;
  const auto steps = std::dynamic_pointer_cast<DiTImpl>(build(options, shape(ConditionKind::kNone), 1));
  const auto t = at::tensor({0.25F});
  EXPECT_TRUE(at::equal(steps->conditioning(t * 1000, {}), straight->conditioning(t, {})));
}

TEST(Catalog, OptionsOverrideThePreset) {
  ModelOptions options;
  options.dim = 32;
  options.depth = 3;
  options.heads = 2;
  options.patch = 4;
  const auto net = build(options, shape(ConditionKind::kNone), 1);
  EXPECT_EQ(net->dim(), 32);
  EXPECT_EQ(net->blocks(), 3);
  EXPECT_EQ(net->patch_tokens(), 4);
}

TEST(Catalog, DiTSeesAThousandTimesTheTimeOfSiT) {
  ModelOptions options;
  options.name = "dit-tiny/2";
  const auto dit = std::dynamic_pointer_cast<DiTImpl>(build(options, shape(ConditionKind::kNone), 1));
  options.name = "sit-tiny/2";
  const auto sit = std::dynamic_pointer_cast<DiTImpl>(build(options, shape(ConditionKind::kNone), 1));
  const auto t = at::tensor({0.25F});
  EXPECT_TRUE(at::equal(dit->conditioning(t, {}), sit->conditioning(t * 1000, {})));
  EXPECT_FALSE(at::equal(dit->conditioning(t, {}), sit->conditioning(t, {})));
}

TEST(Catalog, TheSeedDecidesTheWeights) {
  const auto weight = [](uint64_t seed) {
    return build({}, shape(ConditionKind::kVector), seed)->named_parameters()["mid_block.mlp.fc1.weight"];
  };
  EXPECT_TRUE(at::equal(weight(3), weight(3)));
  EXPECT_FALSE(at::equal(weight(3), weight(4)));
}

TEST(Catalog, OwnPresetsBeginByFanInPublishedOnesAsPublished) {
  const auto begins_with_identity = [](const std::string& name, const std::string& init) {
    ModelOptions options;
    options.name = name;
    options.dim = 64;
    options.depth = 2;
    options.init = config::from_name<Init>(init).value();
    const auto weight = build(options, shape(ConditionKind::kNone), 1)->named_parameters()["final_layer.weight"];
    return weight.abs().sum().item<float>() == static_cast<float>(weight.size(0));
  };
  EXPECT_TRUE(begins_with_identity("uvit-tiny/2", "auto"));
  EXPECT_TRUE(begins_with_identity("uvit-mini/4", "auto"));
  EXPECT_FALSE(begins_with_identity("uvit-tiny/2", "public"));
  EXPECT_FALSE(begins_with_identity("uvit-S/2", "auto"));
  EXPECT_TRUE(begins_with_identity("uvit-S/2", "fan_in"));
}

TEST(Catalog, AnUnknownPresetIsAnsweredWithTheNearestOnes) {
  ModelOptions options;
  options.name = "uvit-l/2";
  EXPECT_THAT(message_of([&] { build(options, shape(ConditionKind::kNone), 1); }),
              testing::AllOf(HasSubstr("\"uvit-l/2\""), HasSubstr("uvit-L/2")));
}

TEST(Catalog, ASideThatIsNoMultipleOfThePatchIsAUsageError) {
  EXPECT_THAT(message_of([&] { build({}, shape(ConditionKind::kNone, 9), 1); }),
              testing::AllOf(HasSubstr("side 9"), HasSubstr("patches of 2")));
}

TEST(Options, DeclareThemselves) {
  ModelOptions options;
  const auto fields = config::Fields::of(options);
  ASSERT_NE(fields.find("name"), nullptr);
  EXPECT_GE(fields.list().size(), 6U);
  for (const auto& field : fields.list()) EXPECT_FALSE(field.doc.help.empty()) << field.path;
}
