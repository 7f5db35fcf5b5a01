#include "sdg/model/autoencoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/autoencoder_weights.h"
#include "model/fill_rule.h"
#include "sdg/core/error.h"
#include "sdg/model/autoencoder_kl.h"
#include "sdg/model/taesd.h"
#include "sdg/tensors/tensor_file.h"
#include "support/temporary_folder.h"

using namespace sdg;
using namespace sdg::model;
using test::message_of;
using ::testing::HasSubstr;

namespace {

const test::TaesdSizes kTaesd{.width = 8, .latent = 4, .blocks = 1, .stages = 2};
const test::KlSizes kKl{.channels = {32, 32}, .layers = 1, .latent = 4};

std::string write(const std::filesystem::path& path, const test::Weights& weights,
                  const std::map<std::string, std::string>& metadata = {}) {
  tensors::write_tensors(path, {weights, metadata});
  return path.string();
}

}  // namespace

TEST(Autoencoder, TellsTheKindsApartAndKnowsTheirScale) {
  const test::TemporaryFolder folder;
  const auto kl = load_autoencoder(write(folder / "kl.safetensors", test::kl_weights(kKl)));
  EXPECT_EQ(kl->kind(), "kl");
  EXPECT_EQ(kl->space().scale, 0.18215);
  EXPECT_EQ(kl->space().factor, 2);
  const auto taesd = load_autoencoder(write(folder / "t.safetensors", test::taesd_weights(kTaesd)));
  EXPECT_EQ(taesd->kind(), "taesd");
  EXPECT_EQ(taesd->space().scale, 1);
  EXPECT_EQ(taesd->space().factor, 4);
}

TEST(Autoencoder, TwoFilesWithTheSameNamesBecomeOneAutoencoder) {
  const at::NoGradGuard no_grad;
  const test::TemporaryFolder folder;
  const auto encoder = write(folder / "e.safetensors", test::taesd_encoder(kTaesd));
  const auto decoder = write(folder / "d.safetensors", test::taesd_decoder(kTaesd));
  const auto both = load_autoencoder(encoder + "," + decoder), reversed = load_autoencoder(decoder + "," + encoder);
  EXPECT_TRUE(both->has_encoder() && both->has_decoder());
  EXPECT_EQ(both->encoder_id(), reversed->encoder_id());
  EXPECT_EQ(both->encoder_id(), load_autoencoder(encoder)->encoder_id());
  EXPECT_EQ(load_autoencoder(encoder)->decoder_id(), "");
  EXPECT_THAT(message_of<Error>([&] { load_autoencoder(encoder + "," + encoder); }), HasSubstr("both files hold"));
}

TEST(Autoencoder, TheFingerprintIsOfTheWeightsAndNotOfTheFile) {
  const auto weights = test::kl_weights(kKl);
  test::Weights halves, changed = weights;
  for (const auto& [name, tensor] : weights) halves[name] = tensor.to(at::kHalf);
  test::Weights widened;
  for (const auto& [name, tensor] : halves) widened[name] = tensor.to(at::kFloat);
  const auto id = [](const test::Weights& of) { return weights_id(of, {"decoder."}); };
  EXPECT_EQ(id(halves), id(widened));
  changed["decoder.conv_out.bias"] = changed["decoder.conv_out.bias"] + 1e-3;
  EXPECT_NE(id(changed), id(weights));
  EXPECT_EQ(id(weights).size(), 16U);
  EXPECT_EQ(weights_id(weights, {"nothing."}), "");
}

TEST(Autoencoder, ADiffusersFolderSaysScaleShiftAndGroups) {
  const test::TemporaryFolder folder;
  write(folder / "diffusion_pytorch_model.safetensors",
        test::kl_weights({.channels = {8, 16}, .layers = 1, .latent = 16}));
  test::write_text(
      folder / "config.json",
      R"({"_class_name": "AutoencoderKL", "scaling_factor": 1.5, "shift_factor": 0.06, "norm_num_groups": 4})");
  const auto net = load_autoencoder(folder.path().string());
  EXPECT_EQ(net->space().channels, 16);
  EXPECT_EQ(net->space().scale, 1.5);
  EXPECT_EQ(net->space().shift, 0.06);
  AutoencoderOptions given;
  given.scale = 2;
  EXPECT_EQ(load_autoencoder(folder.path().string(), given)->space().scale, 2);
}

TEST(Autoencoder, OfAPipelineOrInShardsIsReadWithItsConfig) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directories(folder / "vae");
  test::Weights encoder, decoder;
  std::string map;
  for (const auto& [name, tensor] : test::kl_weights({.channels = {8, 16}, .layers = 1})) {
    const bool first = name.starts_with("encoder.");
    (first ? encoder : decoder)[name] = tensor;
    map += (map.empty() ? "\"" : ", \"") + name + "\": \"m-0000" + (first ? "1" : "2") + "-of-00002.safetensors\"";
  }
  write(folder / "vae/m-00001-of-00002.safetensors", encoder);
  write(folder / "vae/m-00002-of-00002.safetensors", decoder);
  test::write_text(folder / "vae/diffusion_pytorch_model.safetensors.index.json", "{\"weight_map\": {" + map + "}}");
  test::write_text(folder / "vae/config.json",
                   R"({"_class_name": "AutoencoderKL", "scaling_factor": 0.5, "norm_num_groups": 4})");
  for (const auto& path : {folder.path(), folder / "vae"}) {
    const auto net = load_autoencoder(path.string());
    EXPECT_TRUE(net->has_encoder() && net->has_decoder());
    EXPECT_EQ(net->space().scale, 0.5);
  }
}

TEST(Autoencoder, MetadataOfTheFileCountsWhereThereIsNoConfig) {
  const test::TemporaryFolder folder;
  const auto file = write(folder / "a.safetensors", test::kl_weights({.channels = {8, 16}, .layers = 1}),
                          {{"norm_num_groups", "8"}, {"scaling_factor", "0.13025"}});
  EXPECT_EQ(load_autoencoder(file)->space().scale, 0.13025);
}

TEST(Autoencoder, AnUnknownScaleIsAskedForInsteadOfGuessed) {
  AutoencoderOptions options;
  options.norm_groups = 8;
  const auto make = [&] {
    make_autoencoder(test::kl_weights({.channels = {8, 16}, .layers = 1, .latent = 16}), options, at::kCPU, "net");
  };
  EXPECT_THAT(message_of<UsageError>(make), HasSubstr("latents of 16 channels"));
  options.scale = 0.3611;
  EXPECT_NO_THROW(make());
}

TEST(Autoencoder, ModelUnitsAndBack) {
  LatentSpace space;
  space.scale = 0.5;
  space.shift = 0.25;
  const auto raw = at::tensor({1.25, -0.75});
  EXPECT_TRUE(at::equal(space.to_model(raw), at::tensor({0.5, -0.5})));
  EXPECT_TRUE(at::equal(space.from_model(space.to_model(raw)), raw));
}

TEST(Autoencoder, SaysInOneLineWhatIsWrongWithTheFile) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(message_of<Error>([&] { load_autoencoder((folder / "no.safetensors").string()); }),
              HasSubstr("no.safetensors not found"));
  EXPECT_THAT(message_of<Error>([&] { load_autoencoder(folder.path().string()); }),
              HasSubstr("or diffusion_pytorch_model.safetensors"));
  const auto other = write(folder / "o.safetensors", {{"blocks.0.attn.qkv.weight", at::ones({3, 1})}});
  EXPECT_THAT(message_of<Error>([&] { load_autoencoder(other); }),
              HasSubstr("expected an autoencoder (KL or TAESD), these are 1 tensors of something else"));
  EXPECT_THAT(message_of<UsageError>([&] { load_autoencoder("a,b,c"); }), HasSubstr("ENCODER,DECODER"));
}
