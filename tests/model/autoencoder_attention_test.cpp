// Autoencoders whose levels attend, of several factors, against PyTorch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/autoencoder_twin.h"
#include "model/autoencoder_weights.h"
#include "sdg/core/error.h"
#include "sdg/model/autoencoder_kl.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"

using namespace sdg;
using namespace sdg::model;
using ::testing::HasSubstr;

namespace {

constexpr const char* kCases = R"(
folder = sys.argv[1]
cases = {  # widths over 32, attending levels, middle, channels, of the quantised latents
    'f4': ([1, 2, 2], set(), True, 3, 4),
    'f8_last': ([1, 1, 2, 2], {3}, True, 4, 4),
    'f16_like_vavae': ([1, 1, 2, 2, 4], {4}, True, 32, 32),
    'f16_no_quant': ([1, 1, 1, 1, 1], {4}, True, 16, 0),
    'f32_two_levels': ([1, 1, 1, 1, 2, 2], {4, 5}, True, 8, 8),
    'no_attention': ([1, 2], set(), False, 4, 4),
    'levels_only': ([1, 2], {0, 1}, False, 4, 0),
}
for name, (mult, attend, middle, z, embed) in cases.items():
    net = make(mult, attend, middle, z, embed)
    factor, side = 2 ** (len(mult) - 1), 2 ** len(mult)
    x, latent = torch.randn(2, 3, side, 2 * side), torch.randn(2, embed or z, 2, 3)
    with torch.no_grad(): out = {'x': x, 'z': latent, 'moments': net.moments(x), 'images': net.decode(latent)}
    state = net.state_dict()
    torch.save({'state_dict': {**state, 'loss.logvar': torch.zeros(())}, 'epoch': 3}, f'{folder}/{name}.ldm.ckpt')
    torch.save({'state_dict': {**{'first_stage_model.' + k: v for k, v in state.items()},
                               'model.diffusion_model.out.0.weight': torch.ones(4)}}, f'{folder}/{name}.inside.ckpt')
    save_file({k: v.contiguous() for k, v in diffusers_names(state, len(mult)).items()}, f'{folder}/{name}.diffusers')
    save_file({k: v.contiguous() for k, v in out.items()}, f'{folder}/{name}.out')
    print(name)
)";

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == '\n') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  out.pop_back();
  return out;
}

}  // namespace

TEST(AutoencoderAttention, LevelsThatAttendGiveWhatPyTorchGives) {
  SDG_NEEDS_PYTHON("torch safetensors");
  const at::NoGradGuard no_grad;
  const test::TemporaryFolder folder;
  const auto python = test::run_python(test::kAutoencoderTwin + std::string(kCases), {folder.path().string()});
  ASSERT_EQ(python.status, 0) << python.output;
  const auto cases = lines(python.output);
  ASSERT_EQ(cases.size(), 7U);
  for (const auto& name : cases) {
    const auto right = tensors::read_tensors(folder / (name + ".out")).tensors;
    for (const std::string naming : {".ldm.ckpt", ".inside.ckpt", ".diffusers"}) {
      AutoencoderOptions options;
      options.scale = 1;
      const auto net = load_autoencoder((folder / (name + naming)).string(), options);
      EXPECT_EQ(net->space().channels, right.at("z").size(1)) << name;
      const auto* kl = dynamic_cast<const AutoencoderKl*>(net.get());
      ASSERT_NE(kl, nullptr);
      const auto moments = kl->moments(right.at("x"));
      EXPECT_TRUE(at::allclose(moments, right.at("moments"), 1e-4, 1e-4))
          << name << naming << ": " << (moments - right.at("moments")).abs().max();
      const auto images = net->decode(right.at("z"));
      EXPECT_TRUE(at::allclose(images, right.at("images"), 1e-4, 1e-4))
          << name << naming << ": " << (images - right.at("images")).abs().max();
    }
  }
}

TEST(AutoencoderAttention, TheAverageBesideAnLdmAutoencoderIsTaken) {
  test::Weights file;
  file["encoder.conv_in.weight"] = at::zeros({8, 3, 3, 3});
  file["decoder.conv_in.weight"] = at::zeros({8, 4, 3, 3});
  file["loss.logvar"] = at::zeros({});
  file["model_ema.decay"] = at::zeros({});
  file["model_ema.encoderconv_inweight"] = at::ones({8, 3, 3, 3});
  file["model_ema.decoderconv_inweight"] = at::ones({8, 4, 3, 3});
  const auto own = kl_canonical_names(file);
  EXPECT_EQ(own.size(), 2U);
  EXPECT_TRUE(own.at("encoder.conv_in.weight").eq(1).all().item<bool>());
}

TEST(AutoencoderAttention, WhatIsNoSuchAutoencoderIsRefused) {
  const auto weights = test::kl_weights({.channels = {32, 32}, .layers = 1});
  auto vq = weights;
  vq["quantize.embedding.weight"] = at::zeros({16, 4});
  EXPECT_THAT(test::message_of<Error>([&] { make_autoencoder(vq, {}, at::kCPU, "net"); }), HasSubstr("code book"));
  auto pooled = weights;
  pooled.erase("encoder.down_blocks.0.downsamplers.0.conv.weight");
  pooled.erase("encoder.down_blocks.0.downsamplers.0.conv.bias");
  EXPECT_THAT(test::message_of<Error>([&] { make_autoencoder(pooled, {}, at::kCPU, "net"); }),
              HasSubstr("encoder.down_blocks.0 changes the size without a convolution"));
  auto half = weights;
  half["encoder.down_blocks.1.attentions.0.to_q.weight"] = at::zeros({32, 32});
  EXPECT_THAT(test::message_of<Error>([&] { make_autoencoder(half, {}, at::kCPU, "net"); }),
              HasSubstr("no tensor 'encoder.down_blocks.1.attentions.0.group_norm.weight'"));
}
