// The U-Nets of Self-Guided Diffusion against stored outputs of the public code (shared/fixtures sg_unet, sg_unet_ca).
#include "sdg/model/sg_unet.h"

#include <gtest/gtest.h>

#include "sdg/model/catalog.h"
#include "support/fixture.h"
#include "unet_config.h"

using namespace sdg;
using namespace sdg::model;

namespace {

// The public scale 1 is the conditional prediction and 0 the unconditional one in both forms.
Tensor guided(const std::string& form, double w, const Tensor& null, const Tensor& told) {
  if (w == 1) return told;
  if (w == 0) return null;
  return form == "imagen" ? (1 - w) * null + w * told : (1 + w) * told - w * null;
}

void compare(test::Fixture& fixture) {
  const at::NoGradGuard no_grad;
  const auto& config = fixture.config.at("model");
  SgUNetOptions options;
  test::read_unet_config(config, options);
  options.condition_dim = config.at("cond_dim");
  options.context_attention = config.value("use_ca_block", false);
  options.context_dim = config.value("context_dim", options.context_dim);
  options.tokens = config.value("cond_token_num", int64_t{1});
  options.pool_first = config.value("use_cls_token_as_pooled", true);
  if (options.tokens > 1) options.condition = ConditionKind::kPatchVector;
  if (fixture.has("in.layout")) options.map_channels = fixture.in("layout").size(1);
  SgUNet net(options);
  load_weights(*net, fixture.weights(), fixture.name);
  net->to(test::device());

  const auto x = fixture.in("x"), t = fixture.in("t"), value = fixture.in("cond");
  const auto map = fixture.has("in.layout") ? fixture.in("layout") : Tensor();
  const auto told = net->forward(x, t, Condition::given(value, {}, map)).prediction;
  const auto null = net->forward(x, t, Condition::null()).prediction;
  fixture.compare("cond", told);
  fixture.compare("uncond", null);
  // Samplers guide with one doubled batch whose second half is dropped.
  const auto twice = [](const Tensor& tensor) { return tensor.defined() ? at::cat({tensor, tensor}) : tensor; };
  const auto n = x.size(0);
  const auto drop = (at::arange(2 * n) >= n);
  const auto both = net->forward(twice(x), twice(t), Condition::given(twice(value), drop, twice(map))).prediction;
  for (const auto& output : fixture.outputs()) {
    if (!output.starts_with("guided.")) continue;
    const auto form = output.substr(7, output.find('.', 7) - 7);
    const auto w = std::stod(output.substr(output.find('.', 7) + 1));
    fixture.compare(output, guided(form, w, both.slice(0, n), both.slice(0, 0, n)));
  }
  fixture.expect_all_compared();
}

}  // namespace

TEST(SgUNetParity, ConditionVectorsAndLayoutsGiveThePublicOutputs) {
  test::for_each_fixture("sg_unet", compare);
}

TEST(SgUNetParity, ContextAttentionGivesThePublicOutputs) {
  test::for_each_fixture("sg_unet_ca", compare);
}
