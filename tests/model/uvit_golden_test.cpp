// U-ViT against numbers printed by the public code for weights given by a formula (docs/math.md, "Formula weights").
#include <gtest/gtest.h>

#include "fill_rule.h"
#include "head.h"
#include "sdg/model/uvit.h"

using namespace sdg;
using namespace sdg::model;

namespace {

const std::vector<std::pair<std::string, Shape>> kHeadEntries = {
    {"projection_head.0.weight", {8, 16}},   {"projection_head.0.bias", {8}},
    {"projection_head.1.weight", {8}},       {"projection_head.1.bias", {8}},
    {"projection_head.1.running_mean", {8}}, {"projection_head.1.running_var", {8}},
    {"projection_head.3.weight", {16, 8}},   {"projection_head.3.bias", {16}},
    {"prototypes.weight", {3, 16}},
};

UViTOptions small(UViTLayout layout, ConditionKind condition) {
  UViTOptions o;
  o.size = 4;
  o.patch = 2;
  o.channels = 4;
  o.dim = 16;
  o.depth = 4;
  o.heads = 2;
  o.layout = layout;
  o.condition = condition;
  return o;
}

class UViTGolden : public testing::Test {
 protected:
  UViTGolden() {
    for (const auto& [key, shape] : kHeadEntries) head_.weights[key] = test::fill_entry(key, shape);
  }
  UViT filled(UViTLayout layout, ConditionKind condition) {
    UViT net(small(layout, condition));
    test::fill(*net);
    return net;
  }
  Tensor prototypes(const std::vector<int64_t>& rows) {
    return head_.weights.at("prototypes.weight").index_select(0, at::tensor(rows));
  }

  at::NoGradGuard no_grad_;
  test::Head head_;
  Tensor x_ = test::fill_input({2, 4, 4, 4}), t_ = at::tensor({0.3F, 0.85F});
};

}  // namespace

TEST_F(UViTGolden, ImageLevel) {
  auto net = filled(UViTLayout::kSgfm, ConditionKind::kVector);
  const auto free = net->forward(x_, t_, Condition::unconditional(), {net->default_feature_depth()});
  test::expect_golden(free.prediction, -10.172651, 20.100733, {-.130796, -.198438, -.165138, -.113772, .116722});
  const auto cls = free.features.select(1, 0);
  test::expect_golden(cls, 0.554507, 18.482351, {});
  const auto head = head_(cls, false);
  test::expect_golden(head.embedding, 1.265426, 7.134563, {.043385, .261978, .361153, .29579, .095767});
  test::expect_golden(head.scores, -1.276482, 1.591237, {.078685, -.453944, -.262991, .078692, -.453932});
  const auto told = net->forward(x_, t_, Condition::given(prototypes({2, 0}))).prediction;
  test::expect_golden(told, -10.179352, 20.103549, {-.130811, -.198435, -.165106, -.113737, .116722});
  test::expect_golden(net->forward(x_, t_, Condition::null()).prediction, -10.045966, 19.705122,
                      {-.134407, -.201902, -.166742, -.11437, .117545});
}

TEST_F(UViTGolden, PatchLevel) {
  auto net = filled(UViTLayout::kSgfmPatch, ConditionKind::kPatchVector);
  const auto free = net->forward(x_, t_, Condition::unconditional(), {net->default_feature_depth()});
  test::expect_golden(free.prediction, -10.158128, 19.768241, {-.128281, -.186344, -.143536, -.097426, .11303});
  const auto scores = head_(free.features.slice(1, 2).flatten(0, 1), false).scores;
  test::expect_golden(scores, -5.179126, 6.189853, {.068215, -.4586, -.254411, .065593, -.459699});
  const auto y = prototypes({2, 0, 1, 1, 0, 0, 2, 1}).view({2, 4, 16});
  test::expect_golden(net->forward(x_, t_, Condition::given(y)).prediction, -9.992566, 18.314077,
                      {-.129029, -.191059, -.152983, -.105355, .112928});
}

TEST_F(UViTGolden, OriginalWithLabelsAndScaledTime) {
  auto options = small(UViTLayout::kBaofff, ConditionKind::kIndex);
  options.classes = 5;
  options.null_label = false;
  options.time_scale = 999;
  UViT net(options);
  test::fill(*net);
  test::expect_golden(net->forward(x_, t_, Condition::given(at::tensor({1, 4}, at::kLong))).prediction, -10.234166,
                      20.151254, {-.146072, -.208557, -.162656, -.111157, .122646});
}
