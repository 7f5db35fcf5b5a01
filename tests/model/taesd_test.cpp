#include "sdg/model/taesd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/autoencoder_weights.h"
#include "model/fill_rule.h"
#include "sdg/core/error.h"
#include "support/temporary_folder.h"

using namespace sdg;
using namespace sdg::model;
using ::testing::HasSubstr;

namespace {

Taesd make(const test::Weights& weights) {
  return Taesd(taesd_canonical_names(weights), {}, at::kCPU, "net");
}

// The 32x variant: 69 tensors in the encoder.
test::Weights sana_encoder() {
  const test::MakeTensor zeros = [](const std::string&, at::IntArrayRef shape) { return at::zeros(shape); };
  test::TaesdWriter writer("", zeros);
  writer.conv(3, 32, true);
  writer.gap();
  writer.conv(32, 64, true);
  writer.gap();
  writer.block(64);
  for (int stage = 0; stage < 3; ++stage) {
    writer.conv(64, 64, false);
    for (int i = 0; i < 3; ++i) writer.block(64);
  }
  writer.conv(64, 32, true);
  return writer.done();
}

test::Weights sana_decoder() {
  const test::MakeTensor zeros = [](const std::string&, at::IntArrayRef shape) { return at::zeros(shape); };
  test::TaesdWriter writer("", zeros);
  writer.gap();
  writer.conv(32, 256, true);
  writer.gap();
  const std::vector<int64_t> widths{256, 128, 64, 64, 64, 64};
  for (size_t stage = 0; stage < 5; ++stage) {
    for (int i = 0; i < 3; ++i) writer.block(widths[stage]);
    writer.gap();
    writer.conv(widths[stage], widths[stage + 1], false);
  }
  writer.block(64);
  writer.conv(64, 3, true);
  return writer.done();
}

}  // namespace

TEST(Taesd, GivesTheGoldenValues) {
  const at::NoGradGuard no_grad;
  const auto encoder = make(test::taesd_encoder({}, test::fill_entry));
  const auto z = encoder.encode(test::fill_input({2, 3, 16, 16})).mean;  // (x + 1) / 2 is the golden's x / 2 + 1/2
  EXPECT_NEAR(z.sum().item<double>(), -1451.748865, 2e-2);
  EXPECT_NEAR(z.abs().sum().item<double>(), 5596.639265, 6e-2);
  EXPECT_NEAR(z.flatten()[0].item<double>(), -204.860504, 2e-3);
  const auto decoder = make(test::taesd_decoder({}, test::fill_entry));
  const auto image = (decoder.decode(2 * test::fill_input({2, 4, 2, 2})) + 1) / 2;
  EXPECT_NEAR(image.sum().item<double>(), -3918.171181, 0.2);
  EXPECT_NEAR(image.abs().sum().item<double>(), 147126.313283, 1);
  EXPECT_NEAR(image.flatten()[1].item<double>(), 303.971619, 4e-3);
}

TEST(Taesd, ThePublicVariantsHaveTheKnownTensorsAndParameters) {
  EXPECT_EQ(make(test::taesd_encoder({}, test::meta_entry)).parameter_count(), 1'222'532);
  EXPECT_EQ(make(test::taesd_decoder({}, test::meta_entry)).parameter_count(), 1'222'531);
  const test::TaesdSizes taef2{.latent = 32, .pool = true};
  EXPECT_EQ(test::taesd_encoder(taef2, test::meta_entry).size(), 79U);
  EXPECT_EQ(make(test::taesd_encoder(taef2, test::meta_entry)).parameter_count(), 1'338'528);
  EXPECT_EQ(make(test::taesd_decoder(taef2, test::meta_entry)).parameter_count(), 1'338'499);
}

TEST(Taesd, TheSanaVariantHalvesFiveTimes) {
  const auto weights = sana_encoder();
  EXPECT_EQ(weights.size(), 69U);
  const auto encoder = make(weights), decoder = make(sana_decoder());
  EXPECT_EQ(encoder.space().factor, 32);
  EXPECT_EQ(decoder.space().factor, 32);
  EXPECT_EQ(encoder.space().channels, 32);
  const at::NoGradGuard no_grad;
  EXPECT_EQ(encoder.encode(at::zeros({1, 3, 64, 96})).mean.sizes(), at::IntArrayRef({1, 32, 2, 3}));
  EXPECT_EQ(decoder.decode(at::zeros({1, 32, 2, 3})).sizes(), at::IntArrayRef({1, 3, 64, 96}));
}

TEST(Taesd, DiffusersNamesAreTheSameNetwork) {
  const test::TaesdSizes tiny{.width = 8, .latent = 4, .blocks = 1, .stages = 2};
  const auto weights = test::taesd_weights(tiny);
  test::Weights diffusers;
  for (const auto& [name, tensor] : weights) {
    const auto dot = name.find('.', 8);  // after "encoder." or "decoder."
    const int index = std::stoi(name.substr(8, dot - 8));
    const bool decoder = name.starts_with("decoder.");
    diffusers[name.substr(0, 8) + "layers." + std::to_string(decoder ? index - 1 : index) + name.substr(dot)] = tensor;
  }
  const auto back = taesd_canonical_names(diffusers);
  ASSERT_EQ(back.size(), weights.size());
  for (const auto& [name, tensor] : weights)
    EXPECT_TRUE(back.contains(name) && at::equal(back.at(name), tensor)) << name;
}

TEST(Taesd, TheDecoderClampsItsInput) {
  const at::NoGradGuard no_grad;
  const test::TaesdSizes tiny{.width = 8, .latent = 4, .blocks = 1, .stages = 2};
  const auto net = make(test::taesd_weights(tiny));
  const auto z = test::fill_input({1, 4, 3, 3});
  // 3 tanh(z / 3) has reached 3 at z = 60 and beyond.
  EXPECT_TRUE(at::equal(net.decode(at::full_like(z, 60)), net.decode(at::full_like(z, 600))));
  EXPECT_FALSE(at::equal(net.decode(z), net.decode(2 * z)));
}

TEST(Taesd, UnitLatentsComeBack) {
  const auto z = at::tensor({-4.0, -3.0, 0.0, 1.5, 3.0});
  EXPECT_TRUE(at::allclose(latents_to_unit(z), at::tensor({0.0, 0.0, 0.5, 0.75, 1.0})));
  EXPECT_TRUE(at::allclose(latents_from_unit(latents_to_unit(z)), z.clamp(-3, 3)));
}

TEST(Taesd, NamesTheTensorThatDoesNotFit) {
  const test::TaesdSizes tiny{.width = 8, .latent = 4, .blocks = 1, .stages = 2};
  auto missing = test::taesd_weights(tiny);
  missing.erase("encoder.1.conv.2.bias");
  EXPECT_THAT(test::message_of<Error>([&] { make(missing); }), HasSubstr("no tensor 'encoder.1.conv.2.bias'"));
  auto unexpected = test::taesd_weights(tiny);
  unexpected["encoder.1.fuse.weight"] = at::ones({1});
  EXPECT_THAT(test::message_of<Error>([&] { make(unexpected); }), HasSubstr("unexpected encoder.1.fuse.weight"));
  auto odd = test::taesd_encoder(tiny, test::random_entry, "encoder.");
  odd.merge(test::taesd_decoder({.width = 8, .latent = 16, .blocks = 1, .stages = 2}, test::random_entry, "decoder."));
  EXPECT_THAT(test::message_of<Error>([&] { make(odd); }),
              HasSubstr("the encoder gives 4 channels at 1/4, the decoder takes 16 at 1/4"));
}
