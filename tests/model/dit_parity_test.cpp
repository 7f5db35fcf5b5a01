// DiT and SiT against stored outputs of the public code (shared/fixtures dit_forward, sit_forward).
#include "sdg/model/dit.h"

#include <gtest/gtest.h>

#include "sdg/model/catalog.h"
#include "sdg/nn/embed.h"
#include "sdg/sample/guidance.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;

namespace {

// The public pair of halves: both guided in the first three channels, each keeping its own in the rest.
Tensor guided_pair(const Tensor& conditional, const Tensor& null, double w) {
  const auto first = sample::guide(null, conditional, w, 3);
  return at::cat({first, at::cat({first.slice(1, 0, 3), null.slice(1, 3)}, 1)});
}

void compare(test::Fixture& fixture, bool all_channels) {
  const at::NoGradGuard no_grad;
  DiTOptions options;
  options.size = fixture.config.at("input_size");
  options.patch = fixture.config.at("patch_size");
  options.channels = fixture.config.at("in_channels");
  options.dim = fixture.config.at("hidden_size");
  options.depth = fixture.config.at("depth");
  options.heads = fixture.config.at("num_heads");
  options.mlp_ratio = fixture.config.at("mlp_ratio");
  options.classes = fixture.config.at("num_classes");
  options.null_label = fixture.config.at("class_dropout_prob") > 0;
  options.learn_sigma = fixture.config.at("learn_sigma");
  DiT net(options);
  load_weights(*net, fixture.weights(), fixture.name);
  net->to(test::device());

  const auto x = fixture.in("x"), t = fixture.in("t");
  const auto label = Condition::given(fixture.in("y"));
  const auto predict = [&](const Condition& condition) {
    return all_channels ? net->prediction(x, t, condition) : net->forward(x, t, condition).prediction;
  };
  fixture.compare("x", predict(label));
  fixture.compare("c", net->conditioning(t, label));
  fixture.compare("cfg",
                  guided_pair(predict(label), predict(Condition::null()), fixture.in("cfg_scale").item<double>()));
  if (fixture.has("out.pos_embed_formula"))
    fixture.compare("pos_embed_formula",
                    nn::sincos_position_table(options.dim, options.size / options.patch).unsqueeze(0));
  fixture.expect_all_compared();
}

}  // namespace

TEST(DiTParity, ForwardAndGuidanceGiveThePublicOutputs) {
  test::for_each_fixture("dit_forward", [](test::Fixture& fixture) { compare(fixture, true); });
}

TEST(SiTParity, ForwardAndGuidanceGiveThePublicOutputs) {
  test::for_each_fixture("sit_forward", [](test::Fixture& fixture) { compare(fixture, false); });
}
