// ADM's U-Net against stored outputs of the public code (shared/fixtures adm_unet).
#include "sdg/model/adm_unet.h"

#include <gtest/gtest.h>

#include "sdg/model/catalog.h"
#include "support/fixture.h"
#include "unet_config.h"

using namespace sdg;
using namespace sdg::model;

TEST(AdmUNetParity, ForwardGivesThePublicOutputs) {
  test::for_each_fixture("adm_unet", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    AdmUNetOptions options;
    test::read_unet_config(fixture.config, options);
    const auto& classes = fixture.config.at("num_classes");
    options.condition = classes.is_null() ? ConditionKind::kNone : ConditionKind::kIndex;
    if (!classes.is_null()) options.classes = classes;
    options.null_label = false;
    AdmUNet net(options);
    load_weights(*net, fixture.weights(), fixture.name);
    net->to(test::device());
    const auto condition = classes.is_null() ? Condition::unconditional() : Condition::given(fixture.in("y"));
    fixture.compare("x", net->prediction(fixture.in("x"), fixture.in("t"), condition));
    fixture.expect_all_compared();
  });
}
