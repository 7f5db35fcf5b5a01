#include "sdg/model/catalog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

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

ModelShape shape(const std::string& condition, int64_t size = 8) {
  return {.size = size, .channels = 1, .condition = condition, .classes = condition == "index" ? 4 : 0};
}

}  // namespace

TEST(Catalog, EveryPresetBuildsAtFullSizeOnTheMetaDevice) {
  std::set<std::string> names;
  for (const auto& preset : presets()) {
    ModelOptions options;
    options.name = preset.name;
    const auto net = build(options, {.size = 32, .channels = 4, .condition = "index", .classes = 1000}, 1, at::kMeta);
    EXPECT_TRUE(names.insert(preset.name).second) << preset.name << " stands twice";
    EXPECT_EQ(net->dim(), preset.dim) << preset.name;
    EXPECT_EQ(net->patch_tokens(), (32 / preset.patch) * (32 / preset.patch)) << preset.name;
    for (const auto& parameter : net->parameters()) ASSERT_TRUE(parameter.is_meta()) << preset.name;
  }
  for (const auto* name :
       {"uvit-tiny/2", "uvit-S/2", "uvit-S/4", "uvit-M/4", "uvit-L/2", "uvit-L/4", "uvit-H/2", "dit-S/8", "dit-B/4",
        "dit-L/2", "dit-XL/2", "sit-S/2", "sit-B/8", "sit-L/4", "sit-XL/2", "dit-tiny/2", "sit-tiny/2"})
    EXPECT_TRUE(names.count(name)) << name;
}

TEST(Catalog, EveryFamilyAndConditionGivesAVelocityAndFeatures) {
  for (const auto* name : {"uvit-tiny/2", "dit-tiny/2", "sit-tiny/4"}) {
    for (const auto* condition : {"none", "index", "vector", "patch_vector"}) {
      ModelOptions options;
      options.name = name;
      const auto net = build(options, shape(condition), 1);
      const auto out = net->forward(at::ones({2, 1, 8, 8}), at::full({2}, 0.5), Condition::unconditional(),
                                    {net->default_feature_depth()});
      EXPECT_EQ(out.velocity.sizes(), (Shape{2, 1, 8, 8})) << name << " " << condition;
      EXPECT_EQ(out.features.sizes(), (Shape{2, net->extra_tokens() + net->patch_tokens(), 64}))
          << name << " " << condition;
      EXPECT_LT(net->default_feature_depth(), net->blocks());
    }
  }
}

TEST(Catalog, OptionsOverrideThePreset) {
  ModelOptions options;
  options.dim = 32;
  options.depth = 3;
  options.heads = 2;
  options.patch = 4;
  const auto net = build(options, shape("none"), 1);
  EXPECT_EQ(net->dim(), 32);
  EXPECT_EQ(net->blocks(), 3);
  EXPECT_EQ(net->patch_tokens(), 4);
}

TEST(Catalog, DiTSeesAThousandTimesTheTimeOfSiT) {
  ModelOptions options;
  options.name = "dit-tiny/2";
  const auto dit = std::dynamic_pointer_cast<DiTImpl>(build(options, shape("none"), 1));
  options.name = "sit-tiny/2";
  const auto sit = std::dynamic_pointer_cast<DiTImpl>(build(options, shape("none"), 1));
  const auto t = at::tensor({0.25F});
  EXPECT_TRUE(at::equal(dit->conditioning(t, {}), sit->conditioning(t * 1000, {})));
  EXPECT_FALSE(at::equal(dit->conditioning(t, {}), sit->conditioning(t, {})));
}

TEST(Catalog, TheSeedDecidesTheWeights) {
  const auto weight = [](uint64_t seed) {
    return build({}, shape("vector"), seed)->named_parameters()["mid_block.mlp.fc1.weight"];
  };
  EXPECT_TRUE(at::equal(weight(3), weight(3)));
  EXPECT_FALSE(at::equal(weight(3), weight(4)));
}

TEST(Catalog, AnUnknownPresetIsAnsweredWithTheNearestOnes) {
  ModelOptions options;
  options.name = "uvit-l/2";
  EXPECT_THAT(message_of([&] { build(options, shape("none"), 1); }),
              testing::AllOf(HasSubstr("\"uvit-l/2\""), HasSubstr("uvit-L/2")));
}

TEST(Catalog, ASideThatIsNoMultipleOfThePatchIsAUsageError) {
  EXPECT_THAT(message_of([&] { build({}, shape("none", 9), 1); }),
              testing::AllOf(HasSubstr("side 9"), HasSubstr("patches of 2")));
  EXPECT_THAT(message_of([&] { build({}, shape("text"), 1); }), HasSubstr("\"text\""));
}

TEST(Options, DeclareThemselves) {
  ModelOptions options;
  const auto fields = config::Fields::of(options);
  ASSERT_NE(fields.find("name"), nullptr);
  EXPECT_GE(fields.list().size(), 6U);
  for (const auto& field : fields.list()) EXPECT_FALSE(field.doc.help.empty()) << field.path;
}
