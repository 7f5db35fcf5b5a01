#include "sdg/model/autoencoder_kl.h"

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

constexpr int64_t kGroups = 8;
const test::KlSizes kTiny{.channels = {8, 16}, .layers = 1, .latent = 4};

AutoencoderKl make(const test::Weights& weights, int64_t groups = kGroups) {
  return AutoencoderKl(weights, groups, {}, at::kCPU, "net");
}

// The same tensors under the names of CompVis, with 1x1 convolutions for the attention's matrices.
test::Weights ldm_names(const test::Weights& weights, int64_t levels) {
  const std::vector<std::pair<std::string, std::string>> table = {{".down_blocks.", ".down."},
                                                                  {".resnets.", ".block."},
                                                                  {".downsamplers.0.", ".downsample."},
                                                                  {".upsamplers.0.", ".upsample."},
                                                                  {"conv_shortcut", "nin_shortcut"},
                                                                  {"conv_norm_out", "norm_out"},
                                                                  {"mid_block.block.0", "mid.block_1"},
                                                                  {"mid_block.block.1", "mid.block_2"},
                                                                  {"mid_block.attentions.0.", "mid.attn_1."},
                                                                  {"group_norm", "norm"},
                                                                  {"to_q", "q"},
                                                                  {"to_k", "k"},
                                                                  {"to_v", "v"},
                                                                  {"to_out.0", "proj_out"}};
  test::Weights out;
  for (const auto& [name, tensor] : weights) {
    std::string key = name;
    if (const auto at = key.find(".up_blocks."); at != std::string::npos) {
      const int64_t level = key[at + 11] - '0';
      key.replace(at, 12, ".up." + std::to_string(levels - 1 - level));
    }
    for (const auto& [ours, theirs] : table) {
      if (const auto at = key.find(ours); at != std::string::npos) key.replace(at, ours.size(), theirs);
    }
    const bool matrix = key.find("attn_1") != std::string::npos && tensor.dim() == 2;
    out[key] = matrix ? tensor.unsqueeze(-1).unsqueeze(-1) : tensor;
  }
  return out;
}

test::Weights with_replaced(const test::Weights& weights,
                            const std::vector<std::pair<std::string, std::string>>& table) {
  test::Weights out;
  for (const auto& [name, tensor] : weights) {
    std::string key = name;
    for (const auto& [from, to] : table) {
      if (const auto at = key.find(from); at != std::string::npos) key.replace(at, from.size(), to);
    }
    out[key] = tensor;
  }
  return out;
}

void expect_same_weights(const test::Weights& a, const test::Weights& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) {
    ASSERT_TRUE(b.contains(name)) << name;
    EXPECT_TRUE(at::equal(tensor, b.at(name))) << name;
  }
}

}  // namespace

TEST(AutoencoderKl, GivesTheGoldenValues) {
  const at::NoGradGuard no_grad;
  const auto net = make(test::kl_weights({.channels = {32, 64}}, test::fill_entry), 32);
  const auto latents = net.encode(test::fill_input({2, 3, 16, 16}));
  test::expect_golden(latents.mean, -37.187128, 195.931309, {-.085635, -.512022, -1.101295, -1.69449, -2.044751});
  test::expect_golden(latents.logvar, 25.004175, 193.103616, {.353562, .907742, 1.590933});
  test::expect_golden(net.decode(test::fill_input({2, 4, 8, 8})), -16.5181, 459.322018,
                      {.094775, .091552, .086732, .078901, .072495});
}

TEST(AutoencoderKl, StableDiffusionHasTheKnownTensorsAndParameters) {
  const auto weights = test::kl_weights({}, test::meta_entry);
  EXPECT_EQ(weights.size(), 248U);
  const auto net = make(weights, 32);  // throws if it took fewer or more
  EXPECT_EQ(net.parameter_count(), 83'653'863);
  EXPECT_EQ(net.space().factor, 8);
  EXPECT_EQ(net.space().channels, 4);
}

TEST(AutoencoderKl, EncoderAndDecoderAloneHaveTheKnownParameters) {
  test::Weights encoder, decoder;
  for (const auto& [name, tensor] : test::kl_weights({}, test::meta_entry)) {
    (name.starts_with("encoder.") || name.starts_with("quant_conv.") ? encoder : decoder)[name] = tensor;
  }
  EXPECT_EQ(make(encoder, 32).parameter_count(), 34'163'664);
  EXPECT_EQ(make(decoder, 32).parameter_count(), 83'653'863 - 34'163'664);
  EXPECT_FALSE(make(encoder, 32).has_decoder());
  EXPECT_THAT(test::message_of<Error>([&] { make(encoder, 32).decode(at::zeros({1, 4, 2, 2})); }),
              HasSubstr("no decoder"));
}

TEST(AutoencoderKl, AllThreeNamingsAreTheSameNetwork) {
  const auto weights = test::kl_weights({.channels = {8, 16, 16}, .layers = 2});
  const auto ldm = ldm_names(weights, 3);
  EXPECT_TRUE(ldm.contains("decoder.up.0.block.0.nin_shortcut.weight"));
  EXPECT_TRUE(ldm.contains("encoder.mid.attn_1.q.weight"));
  expect_same_weights(kl_canonical_names(weights), weights);
  expect_same_weights(kl_canonical_names(ldm), weights);
  const auto old =
      with_replaced(weights, {{"to_q", "query"}, {"to_k", "key"}, {"to_v", "value"}, {"to_out.0", "proj_attn"}});
  EXPECT_FALSE(old.contains("encoder.mid_block.attentions.0.to_q.weight"));
  expect_same_weights(kl_canonical_names(old), weights);
}

TEST(AutoencoderKl, IsFoundInsideAWholeCheckpoint) {
  const auto weights = test::kl_weights(kTiny);
  test::Weights whole{{"model.diffusion_model.out.0.weight", at::ones({4})}, {"encoder.stranger", at::ones({1})}};
  for (const auto& [name, tensor] : ldm_names(weights, 2)) whole["first_stage_model." + name] = tensor;
  whole["first_stage_model.loss.logvar"] = at::zeros({});
  EXPECT_TRUE(is_kl(whole));
  expect_same_weights(kl_canonical_names(whole), weights);
}

TEST(AutoencoderKl, EveryImageIsComputedAlone) {
  const at::NoGradGuard no_grad;
  const auto net = make(test::kl_weights(kTiny));
  const auto images = test::fill_input({3, 3, 8, 12});
  const auto together = net.encode(images);
  EXPECT_EQ(together.mean.sizes(), at::IntArrayRef({3, 4, 4, 6}));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::allclose(net.encode(images.narrow(0, i, 1)).mean[0], together.mean[i], 1e-4, 2e-5));
  }
}

TEST(AutoencoderKl, TheDistributionIsClampedAndSampled) {
  const auto moments = at::cat({at::full({1, 2, 1, 1}, 3.0), at::tensor({-50.0, 50.0}).view({1, 2, 1, 1})}, 1);
  const auto latents = distribution_of_moments(moments);
  EXPECT_EQ(latents.logvar.flatten()[0].item<double>(), -30);
  EXPECT_EQ(latents.logvar.flatten()[1].item<double>(), 20);
  const auto sample = latents.sample(at::full({1, 2, 1, 1}, 2.0)).flatten();
  EXPECT_NEAR(sample[0].item<double>(), 3 + 2 * std::exp(-15), 1e-6);
  EXPECT_NEAR(sample[1].item<double>(), 3 + 2 * std::exp(10), 1e-6 * std::exp(10));
  // KL of N(1, 1) to N(0, 1) is 1/2 for each of four entries.
  const LatentDistribution unit{at::ones({1, 1, 2, 2}), at::zeros({1, 1, 2, 2})};
  EXPECT_NEAR(unit.kl().item<double>(), 2, 1e-6);
}

TEST(AutoencoderKl, NamesTheTensorThatDoesNotFit) {
  auto missing = test::kl_weights(kTiny);
  missing.erase("decoder.mid_block.resnets.1.conv2.bias");
  EXPECT_THAT(
      test::message_of<Error>([&] { make(missing); }),
      HasSubstr("net: these weights do not fit the network: no tensor 'decoder.mid_block.resnets.1.conv2.bias'"));
  auto unexpected = test::kl_weights(kTiny);
  unexpected["encoder.down_blocks.0.resnets.0.gate.weight"] = at::zeros({8, 8});
  EXPECT_THAT(test::message_of<Error>([&] { make(unexpected); }),
              HasSubstr("unexpected encoder.down_blocks.0.resnets.0.gate.weight"));
  auto misshapen = test::kl_weights(kTiny);
  misshapen["encoder.mid_block.resnets.0.conv1.weight"] = at::zeros({16, 8, 3, 3});
  EXPECT_THAT(test::message_of<Error>([&] { make(misshapen); }),
              HasSubstr("encoder.mid_block.resnets.0.conv1.weight is [16, 8, 3, 3], expected [*, 16, 3, 3]"));
  EXPECT_THAT(test::message_of<Error>([&] { make(test::kl_weights(kTiny), 32); }), HasSubstr("norm_num_groups"));
}

TEST(AutoencoderKl, RefusesImagesThatAreNoMultipleOfTheFactor) {
  const auto net = make(test::kl_weights(kTiny));
  EXPECT_THAT(test::message_of<Error>([&] { net.encode(at::zeros({1, 3, 8, 7})); }),
              HasSubstr("multiples of 2, got [1, 3, 8, 7]"));
  EXPECT_THAT(test::message_of<Error>([&] { net.encode(at::zeros({1, 1, 8, 8})); }), HasSubstr("[N, 3, H, W]"));
  EXPECT_THAT(test::message_of<Error>([&] { net.decode(at::zeros({1, 3, 8, 8})); }), HasSubstr("[N, 4, h, w]"));
}
