// REPA's SiT against stored outputs of the public code (shared/fixtures repa_sit_forward).
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/model/catalog.h"
#include "sdg/model/dit.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;

TEST(RepaParity, VelocityAndProjectedTokensAreThePublicOnes) {
  test::for_each_fixture("repa_sit_forward", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const auto& config = fixture.config;
    DiTOptions options;
    options.size = config.at("input_size");
    options.patch = config.at("patch_size");
    options.channels = config.at("in_channels");
    options.dim = config.at("hidden_size");
    options.depth = config.at("depth");
    options.heads = config.at("num_heads");
    options.mlp_ratio = config.at("mlp_ratio");
    options.classes = config.at("num_classes");
    options.null_label = config.at("class_dropout_prob") > 0;
    options.qk_norm = config.at("qk_norm");
    options.projector_dims = config.at("z_dims").get<std::vector<int64_t>>();
    options.projector_hidden = config.at("projector_dim");
    options.projector_depth = config.at("encoder_depth");
    DiT net(options);
    load_weights(*net, fixture.weights(), fixture.name);
    const auto out = net->forward(fixture.in("x"), fixture.in("t"), Condition::given(fixture.in("y")),
                                  {options.projector_depth - 1});
    fixture.compare("x", out.prediction);
    const auto projected = net->project(out.features);
    for (size_t i = 0; i < projected.size(); ++i) fixture.compare(cat("zs_", i), projected[i]);
    fixture.expect_all_compared();
  });
}
