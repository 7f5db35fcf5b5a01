// REPA's SiT against stored outputs of the public code (shared/fixtures repa_sit_forward).
#include <gtest/gtest.h>

#include "model/public_dit.h"
#include "sdg/core/error.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;

TEST(RepaParity, VelocityAndProjectedTokensAreThePublicOnes) {
  test::for_each_fixture("repa_sit_forward", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    auto net = test::public_dit(fixture);
    const auto out = net->forward(fixture.in("x"), fixture.in("t"), Condition::given(fixture.in("y")),
                                  {fixture.config.at("encoder_depth").get<int64_t>() - 1});
    fixture.compare("x", out.prediction);
    const auto projected = net->project(out.features);
    for (size_t i = 0; i < projected.size(); ++i) fixture.compare(cat("zs_", i), projected[i]);
    fixture.expect_all_compared();
  });
}
