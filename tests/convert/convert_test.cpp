#include "sdg/convert/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/error.h"
#include "sdg/flow/betas.h"
#include "sdg/model/catalog.h"
#include "sdg/tensors/torch_file.h"
#include "support/fixture.h"
#include "support/temporary_folder.h"

using namespace sdg;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

namespace {

// A state dict with values everywhere (initial DiT weights predict zero).
std::map<std::string, Tensor> filled(const std::string& preset, const model::ModelShape& shape,
                                     bool learn_sigma = false) {
  model::ModelOptions options;
  options.name = preset;
  options.learn_sigma = learn_sigma;
  const auto network = model::build(options, shape, 3);
  torch::manual_seed(5);
  std::map<std::string, Tensor> out;
  for (const auto& item : network->named_parameters()) {
    const bool keep = item.key() == "pos_embed" && preset.starts_with("sit");
    out[item.key()] = keep ? item.value().detach() : torch::randn(item.value().sizes()) * 0.05;
  }
  return out;
}

class Convert : public ::testing::Test {
 protected:
  tensors::Weights written(const std::map<std::string, Tensor>& tensors) {
    tensors::write_torch(folder_ / "in.pt", tensors);
    return tensors::read_weights(folder_ / "in.pt");
  }
  checkpoint::Trained loaded(const convert::Converted& converted) {
    tensors::write_tensors(folder_ / "out.safetensors", converted.file);
    return checkpoint::load_trained(folder_ / "out.safetensors", at::kCPU);
  }
  const test::TemporaryFolder folder_;
};

const model::ModelShape kSmall{.size = 8, .channels = 3, .condition = model::ConditionKind::kIndex, .classes = 5};

}  // namespace

TEST_F(Convert, ASiTGivesTheSameVelocityAsTheNetworkItCameFrom) {
  const at::NoGradGuard no_grad;
  const auto tensors = filled("sit-tiny/2", kSmall, /*learn_sigma=*/true);
  const auto converted = convert::convert_public(written(tensors), "in.pt", {.family = "sit"});
  auto trained = loaded(converted);
  EXPECT_EQ(trained.info.config.condition.source, recipe::Source::kLabel);
  EXPECT_EQ(trained.info.config.flow.sigma_min, 0);
  EXPECT_EQ(trained.info.classes, 5);
  ASSERT_TRUE(trained.prior.defined());
  EXPECT_TRUE(at::allclose(trained.prior, at::full({5}, 0.2, at::kDouble)));

  model::ModelOptions options;
  options.name = "sit-tiny/2";
  options.learn_sigma = true;
  const auto twin = model::build(options, kSmall, 9);
  model::load_weights(*twin, tensors, "twin");
  const auto x = torch::randn({4, 3, 8, 8}), t = torch::rand({4});
  const auto label = model::Condition::given(at::arange(4, at::kLong));
  const auto velocity = trained.network.model->forward(x, t, label).prediction;
  EXPECT_TRUE(at::equal(velocity, twin->forward(x, t, label).prediction));
  EXPECT_GT(velocity.abs().max().item<double>(), 0);
}

TEST_F(Convert, TheFileSaysWhereItsWeightsCameFrom) {
  const auto converted = convert::convert_public(written(filled("sit-tiny/2", kSmall)), "a/in.pt", {.family = "sit"});
  EXPECT_EQ(converted.file.metadata.at("converted_from"), "in.pt");
  EXPECT_EQ(converted.file.metadata.at("prediction"), "velocity");
  EXPECT_THAT(converted.file.metadata.at("data"), HasSubstr("converted from a/in.pt"));
}

TEST_F(Convert, TheTrainingArgumentsInTheFileDecideBetweenDiTAndSiT) {
  auto weights = written(filled("sit-tiny/2", kSmall));
  EXPECT_THAT(test::message_of<UsageError>([&] { convert::convert_public(weights, "in.pt", {}); }), HasSubstr("--as"));
  weights.metadata["args.model"] = "SiT-S/2";
  EXPECT_EQ(convert::convert_public(weights, "in.pt", {}).network.family, "sit");
  weights.metadata["args.model"] = "DiT-S/2";
  EXPECT_EQ(convert::convert_public(weights, "in.pt", {}).network.family, "dit");
}

// DiT's noise at the step of equal signal-to-noise ratio, made a velocity.
TEST_F(Convert, ANetworkThatPredictsNoiseIsConvertedWhenItIsDrawnFrom) {
  const at::NoGradGuard no_grad;
  const auto tensors = filled("sit-tiny/2", kSmall);
  auto converted = convert::convert_public(written(tensors), "in.pt", {.family = "dit"});
  EXPECT_THAT(converted.notes, Contains(HasSubstr("predicts noise on the path linear")));
  const auto trained = loaded(converted);
  EXPECT_EQ(trained.network.model->predicts(), (flow::Prediction{flow::Target::kNoise, flow::Path::kLinear}));
  const auto abar = flow::alphas_cumprod(flow::Path::kLinear)[250].item<double>();
  const double a = std::sqrt(abar), b = std::sqrt(1 - abar), time = a / (a + b);
  const auto x_t = torch::randn({4, 3, 8, 8});
  const auto label = model::Condition::given(at::arange(4, at::kLong));
  const auto z = x_t * (1 / std::sqrt(time * time + (1 - time) * (1 - time)));
  const auto noise = trained.network.model->forward(z, at::full({4}, 250.0F), label).prediction;
  const auto velocity = trained.network.velocity(x_t, at::full({4}, static_cast<float>(time)), label);
  EXPECT_TRUE(at::allclose(velocity, (x_t - noise) / time, 1e-3, 1e-3));
}

TEST_F(Convert, AnAnswerIsNotTakenForAnotherOne) {
  auto converted = convert::convert_public(written(filled("sit-tiny/2", kSmall)), "in.pt", {.family = "dit"});
  converted.file.metadata["prediction"] = "data";
  EXPECT_THAT(test::message_of<Error>([&] { loaded(converted); }), HasSubstr("predicts data"));
}

TEST_F(Convert, AnotherSizeGetsNewPositionsAndSaysSo) {
  const auto sit = convert::convert_public(written(filled("sit-tiny/2", kSmall)), "in.pt",
                                           {.family = "sit", .overrides = {"data.size=12"}});
  EXPECT_THAT(sit.notes, Contains(AllOf(HasSubstr("made anew"), HasSubstr("12"))));
  EXPECT_EQ(loaded(sit).network.model->patch_tokens(), 36);

  const auto shape = model::ModelShape{.size = 8, .channels = 3, .condition = model::ConditionKind::kNone};
  const auto tensors = filled("uvit-tiny/2", shape);
  const auto uvit = convert::convert_public(written(tensors), "in.pt", {.overrides = {"data.size=16"}});
  EXPECT_THAT(uvit.notes, Contains(HasSubstr("resized bilinearly from images of side 8 to 16")));
  const auto positions = uvit.file.at("ema.pos_embed");
  EXPECT_EQ(positions.size(1), 3 + 64);
  EXPECT_TRUE(at::equal(positions.narrow(1, 0, 3), tensors.at("pos_embed").narrow(1, 0, 3)));
  EXPECT_EQ(loaded(uvit).network.model->patch_tokens(), 64);
}

TEST_F(Convert, WeightsThatDoNotFitAreRefusedByName) {
  auto tensors = filled("sit-tiny/2", kSmall);
  tensors.erase("blocks.1.mlp.fc1.bias");
  tensors["blocks.1.extra"] = at::zeros({1});
  EXPECT_THAT(test::message_of<Error>([&] { convert::convert_public(written(tensors), "in.pt", {.family = "sit"}); }),
              AllOf(HasSubstr("in.pt: nearly a sit-tiny/2"), HasSubstr("missing: blocks.1.mlp.fc1.bias"),
                    HasSubstr("unexpected: blocks.1.extra")));
  EXPECT_THAT(test::message_of<Error>([&] { convert::convert_public(written({{"w", at::zeros({1})}}), "in.pt", {}); }),
              HasSubstr("no network that is known"));
  EXPECT_THROW(convert::convert_public(written(filled("sit-tiny/2", kSmall)), "in.pt",
                                       {.family = "sit", .overrides = {"model.dim=128"}}),
               Error);
}

TEST_F(Convert, HeadsThatNoPresetTellsMustBeGiven) {
  test::for_each_fixture("sit_forward", [&](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const auto weights = written(fixture.weights());
    EXPECT_THAT(test::message_of<UsageError>([&] { convert::convert_public(weights, "in.pt", {.family = "sit"}); }),
                HasSubstr("--set model.heads=N"));
    const auto heads = fixture.config.at("num_heads").get<int64_t>();
    auto trained = loaded(convert::convert_public(
        weights, "in.pt", {.family = "sit", .overrides = {"model.heads=" + std::to_string(heads)}}));
    fixture.compare(
        "x", trained.network.model->forward(fixture.in("x"), fixture.in("t"), model::Condition::given(fixture.in("y")))
                 .prediction);
  });
}

TEST_F(Convert, ANetworkOfSgfmComesWithItsPrototypes) {
  test::for_each_fixture("uvit_sgfm_image", [&](test::Fixture& fixture) {
    const auto heads = fixture.config.at("num_heads").get<int64_t>();
    const auto trained = loaded(convert::convert_public(written(fixture.weights()), "in.pt",
                                                        {.overrides = {"model.heads=" + std::to_string(heads)}}));
    EXPECT_EQ(trained.info.config.condition.source, recipe::Source::kOnline);
    ASSERT_TRUE(trained.network.head);
    EXPECT_TRUE(at::equal(trained.network.head->prototypes->weight, fixture.weights().at("prototypes.weight")));
    EXPECT_EQ(trained.prior.size(0), fixture.weights().at("prototypes.weight").size(0));
  });
}

TEST_F(Convert, ASiTOfRepaIsTurnedAround) {
  test::for_each_fixture("repa_sit_forward", [&](test::Fixture& fixture) {
    const at::NoGradGuard no_grad;
    const auto heads = fixture.config.at("num_heads").get<int64_t>();
    const bool told = fixture.weights().contains("blocks.0.attn.q_norm.weight");  // norms of a head's width tell it
    std::vector<std::string> overrides;
    if (!told) overrides = {"model.heads=" + std::to_string(heads)};
    const auto converted = convert::convert_public(written(fixture.weights()), "in.pt", {.overrides = overrides});
    EXPECT_THAT(converted.notes, Contains(HasSubstr("was turned around")));
    const auto trained = loaded(converted);
    // Theirs is noise - data at (x, t), ours data - noise at (x, 1 - t).
    const auto ours =
        trained.network.model->forward(fixture.in("x"), 1 - fixture.in("t"), model::Condition::given(fixture.in("y")));
    fixture.compare("x", -ours.prediction);
  });
}
