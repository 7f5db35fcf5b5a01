// Networks rebuilt from nothing but their weights give the stored outputs of the public code.
#include <gtest/gtest.h>

#include "sdg/model/catalog.h"
#include "sdg/model/recognise.h"
#include "support/fixture.h"

using namespace sdg;
using namespace sdg::model;

namespace {

std::shared_ptr<VelocityModel> rebuilt(const test::Fixture& fixture, const std::string& family) {
  const auto weights = fixture.weights();
  auto found = recognise(weights, family);
  EXPECT_TRUE(found && found->fits()) << fixture.name;
  EXPECT_FALSE(found->heads_known) << "the fixtures are smaller than every preset";
  found->options.heads = fixture.config.at("num_heads");
  if (fixture.config.contains("input_size")) {
    EXPECT_EQ(found->shape.size, fixture.config.at("input_size").get<int64_t>());
    EXPECT_EQ(found->options.learn_sigma, fixture.config.at("learn_sigma").get<bool>());
  }
  if (family == "uvit" &&
      found->shape.condition == ConditionKind::kIndex) {  // rows of the table: all of them are classes here
    found->options.null_label = false;
    found->shape.classes = weights.at("label_emb.weight").size(0);
  }
  found->options.time_scale = 1;  // times are stored as the sinusoid sees them
  auto network = build(found->options, found->shape, 0);
  load_weights(*network, weights, fixture.name, "", head_names());
  return network;
}

}  // namespace

TEST(RecogniseParity, SiT) {
  test::for_each_fixture("sit_forward", [](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const auto net = rebuilt(fixture, "sit");
    fixture.compare("x", net->forward(fixture.in("x"), fixture.in("t"), Condition::given(fixture.in("y"))).prediction);
  });
}

TEST(RecogniseParity, UViTOfBao) {
  test::for_each_fixture("uvit_baofff", [](test::Fixture& fixture) {
    if (!fixture.config.at("skip").get<bool>()) {  // no public model is without skips
      EXPECT_FALSE(recognise(fixture.weights())->missing.empty());
      return;
    }
    const at::NoGradGuard no_grad;
    const auto net = rebuilt(fixture, "uvit");
    const auto condition = fixture.has("in.y") ? Condition::given(fixture.in("y")) : Condition::unconditional();
    fixture.compare("x", net->forward(fixture.in("x"), fixture.in("t"), condition).prediction);
  });
}

TEST(RecogniseParity, UViTOfSgfm) {
  for (const std::string level : {"image", "patch"}) {
    test::for_each_fixture("uvit_sgfm_" + level, [&](test::Fixture& fixture) {
      const at::NoGradGuard no_grad;
      const auto found = recognise(fixture.weights());
      ASSERT_TRUE(found && found->head);
      EXPECT_EQ(found->head->clusters, fixture.config.at("nmb_prototypes").get<int64_t>());
      const auto net = rebuilt(fixture, "uvit");
      fixture.compare("stage1.x",
                      net->forward(fixture.in("x"), fixture.in("t"), Condition::unconditional()).prediction);
      fixture.compare("null.x", net->forward(fixture.in("x"), fixture.in("t"), Condition::null()).prediction);
    });
  }
}
