#include "sdg/latents/encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/made_images.h"
#include "model/autoencoder_weights.h"
#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "sdg/latents/latent_images.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/tensors/tensor_stream.h"

using namespace sdg;
using test::message_of;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kImages = 7, kSize = 16, kFactor = 4;

std::shared_ptr<const model::Autoencoder> kl() {
  model::AutoencoderOptions options;
  options.norm_groups = 4;
  return model::make_autoencoder(test::kl_weights({.channels = {8, 8, 8}, .layers = 1, .latent = 4}), options, at::kCPU,
                                 "net");
}

std::shared_ptr<const model::Autoencoder> taesd() {
  return model::make_autoencoder(test::taesd_weights({.width = 8, .latent = 4, .blocks = 1, .stages = 2}), {}, at::kCPU,
                                 "net");
}

class Labels : public data::LabelSource {
 public:
  Tensor labels() const override { return at::arange(kImages, at::kLong).remainder(3); }
  std::vector<std::string> class_names() const override { return {"a", "b", "c"}; }
};

data::OpenedData made_data(std::set<int64_t> broken = {}) {
  data::OpenedData data;
  data.images = std::make_shared<test::MadeSource>(kImages, std::move(broken), 3);
  data.labels = std::make_shared<Labels>();
  data.path = "made";
  return data;
}

latents::EncodeOptions options() {
  latents::EncodeOptions options;
  options.size = kSize;
  options.batch = 3;
  options.autoencoder = "/here/net.safetensors";
  return options;
}

// Image i as the autoencoder sees it: [1, 3, S, S] in [-1, 1].
Tensor made_image(int64_t i) {
  return data::Dataset(made_data().images, test::made_options(kSize, 3)).values({i});
}

}  // namespace

TEST(Encode, StoresTheMomentsOfEveryImageAndOfItsMirrorImage) {
  const test::TemporaryFolder folder;
  const auto net = kl();
  auto wanted = options();
  wanted.flip = true;
  const auto result = latents::encode(made_data(), *net, at::kCPU, folder / "l.safetensors", wanted);
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.enlarged, kImages);  // they are 8x8
  const auto file = tensors::read_tensors(folder / "l.safetensors");
  for (int64_t i = 0; i < kImages; ++i) {
    const auto plain = net->encode(made_image(i)), mirrored = net->encode(made_image(i).flip({3}));
    EXPECT_TRUE(at::equal(file.at("mean")[i], plain.mean[0])) << i;
    EXPECT_TRUE(at::equal(file.at("logvar")[i], plain.logvar[0])) << i;
    EXPECT_TRUE(at::equal(file.at("mean_flipped")[i], mirrored.mean[0])) << i;
    EXPECT_TRUE(at::equal(file.at("logvar_flipped")[i], mirrored.logvar[0])) << i;
  }
  data::DataOptions where;
  where.path = (folder / "l.safetensors").string();
  const auto opened = data::open_data(where, "");
  const auto& latents = *opened.latents;
  EXPECT_EQ(latents.card().factor, kFactor);
  EXPECT_EQ(latents.card().scale, 0.18215);
  EXPECT_EQ(latents.card().encoder_id, net->encoder_id());
  EXPECT_EQ(latents.name(5), "-5");  // without what the data's path says already
  EXPECT_TRUE(at::equal(opened.labels->labels(), Labels().labels()));
}

TEST(Encode, TheFileDependsNeitherOnTheBatchNorOnAnInterruption) {
  const test::TemporaryFolder folder;
  const auto net = taesd();
  auto whole = options();
  whole.batch = 100;
  latents::encode(made_data(), *net, at::kCPU, folder / "whole.safetensors", whole);

  int64_t done = 0;
  const auto first = latents::encode(
      made_data(), *net, at::kCPU, folder / "parts.safetensors", options(), [&](int64_t now, int64_t) { done = now; },
      [&] { return done >= 3; });
  EXPECT_FALSE(first.finished);
  EXPECT_FALSE(std::filesystem::exists(folder / "parts.safetensors"));
  const auto second = latents::encode(made_data(), *net, at::kCPU, folder / "parts.safetensors", options());
  EXPECT_EQ(second.found, 3);
  EXPECT_TRUE(second.finished);
  EXPECT_EQ(test::read_text(folder / "parts.safetensors"), test::read_text(folder / "whole.safetensors"));
}

TEST(Encode, AnInterruptedRunIsNotGoneOnWithByAnotherAutoencoder) {
  const test::TemporaryFolder folder;
  int64_t done = 0;
  latents::encode(
      made_data(), *taesd(), at::kCPU, folder / "l.safetensors", options(), [&](int64_t now, int64_t) { done = now; },
      [&] { return done >= 3; });
  ASSERT_EQ(done, 3);
  EXPECT_THAT(
      message_of<Error>([&] { latents::encode(made_data(), *kl(), at::kCPU, folder / "l.safetensors", options()); }),
      HasSubstr("other content"));
}

TEST(Encode, HalfPrecisionIsTheRoundedFloat) {
  const test::TemporaryFolder folder;
  auto half = options();
  half.half = true;
  latents::encode(made_data(), *taesd(), at::kCPU, folder / "full.safetensors", options());
  latents::encode(made_data(), *taesd(), at::kCPU, folder / "half.safetensors", half);
  const auto full = tensors::read_tensors(folder / "full.safetensors"),
             rounded = tensors::read_tensors(folder / "half.safetensors");
  EXPECT_TRUE(at::equal(rounded.at("mean"), full.at("mean").to(at::kHalf)));
}

TEST(Encode, PsnrIsThatOfTheDecodedMean) {
  const test::TemporaryFolder folder;
  const auto net = taesd();
  auto wanted = options();
  wanted.psnr = true;
  latents::encode(made_data(), *net, at::kCPU, folder / "l.safetensors", wanted);
  const auto stored = tensors::read_tensors(folder / "l.safetensors").at("psnr");
  const auto x = made_image(2), y = net->decode(net->encode(x).mean);
  const double error =
      (image::to_uint8(x).to(at::kDouble) - image::to_uint8(y).to(at::kDouble)).square().mean().item<double>();
  EXPECT_NEAR(stored[2].item<double>(), 20 * std::log10(255.0) - 10 * std::log10(error), 1e-4);
}

TEST(Encode, PsnrOfEqualPicturesIsInfinite) {
  const auto grey = at::full({2, 3, 4, 4}, 100, at::kByte);
  const auto other = grey.clone();
  other[1] += 10;
  const auto values = latents::psnr(grey, other);
  EXPECT_TRUE(std::isinf(values[0].item<float>()));
  EXPECT_NEAR(values[1].item<double>(), 20 * std::log10(25.5), 1e-4);
}

TEST(Encode, ABrokenImageIsReplacedByTheNextGoodOneWithItsLabel) {
  const test::TemporaryFolder folder;
  auto wanted = options();
  wanted.max_broken = 0.5;
  const auto result = latents::encode(made_data({3, 4}), *taesd(), at::kCPU, folder / "l.safetensors", wanted);
  EXPECT_EQ(result.broken, 3);  // image 4 is met twice
  const auto file = tensors::read_tensors(folder / "l.safetensors");
  EXPECT_TRUE(at::equal(file.at("mean")[3], file.at("mean")[5]));
  EXPECT_EQ(file.at("labels")[3].item<int64_t>(), 5 % 3);
  wanted.max_broken = 0;
  EXPECT_THAT(
      message_of<Error>([&] { latents::encode(made_data({3}), *taesd(), at::kCPU, folder / "m.safetensors", wanted); }),
      HasSubstr("broken image made-3: "));
}

TEST(Encode, RefusesWhatCannotBeEncoded) {
  const test::TemporaryFolder folder;
  const auto refusal = [&](const latents::EncodeOptions& wanted, const std::shared_ptr<const model::Autoencoder>& net) {
    return message_of<UsageError>(
        [&] { latents::encode(made_data(), *net, at::kCPU, folder / "l.safetensors", wanted); });
  };
  auto odd = options();
  odd.size = 18;
  EXPECT_THAT(refusal(odd, taesd()), HasSubstr("--size: must be a multiple of 4 pixels"));
  const test::TaesdSizes tiny{.width = 8, .latent = 4, .blocks = 1, .stages = 2};
  EXPECT_THAT(refusal(options(), model::make_autoencoder(test::taesd_decoder(tiny), {}, at::kCPU, "net")),
              HasSubstr("holds no encoder"));
  auto with_psnr = options();
  with_psnr.psnr = true;
  EXPECT_THAT(refusal(with_psnr, model::make_autoencoder(test::taesd_encoder(tiny), {}, at::kCPU, "net")),
              HasSubstr("--psnr needs a decoder"));
}

TEST(LatentImages, DecodeRowsAloneInTheUnitsOfTheCard) {
  const test::TemporaryFolder folder;
  tensors::write_tensors(folder / "net.safetensors",
                         {test::taesd_weights({.width = 8, .latent = 4, .blocks = 1, .stages = 2}), {}});
  data::LatentCard card;
  card.channels = 4;
  card.factor = kFactor;
  card.scale = 2;
  card.shift = 0.5;
  card.autoencoder = (folder / "net.safetensors").string();
  const auto decoder = latents::load_decoder(card, "", at::kCPU);
  const auto to_images = latents::decode_with(decoder, at::kCPU);
  const auto x = rng::normal({1, rng::Purpose::kTest, 0}, rng::consecutive(0, 3), {4, 4, 4});
  const auto images = to_images(x);
  EXPECT_EQ(images.sizes(), at::IntArrayRef({3, 3, 16, 16}));
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(images[i], image::to_uint8(taesd()->decode(x.narrow(0, i, 1) / 2 + 0.5))[0])) << i;
    EXPECT_TRUE(at::equal(to_images(x.narrow(0, i, 1))[0], images[i])) << i;
  }
}

TEST(LatentImages, OfAConvertedNetworkTakeTheAutoencodersOwnScale) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "net.safetensors").string();
  tensors::write_tensors(file, {test::taesd_weights({.width = 8, .latent = 4, .blocks = 1, .stages = 2}), {}});
  checkpoint::CheckpointInfo info;  // without a card
  info.config.data.channels = 3;
  EXPECT_FALSE(latents::to_images_of(info, "", at::kCPU));
  EXPECT_THAT(message_of<Error>([&] { latents::to_images_of(info, file, at::kCPU); }),
              HasSubstr("decodes 4 channels, this network draws 3"));
  info.config.data.channels = 4;
  EXPECT_THAT(message_of<UsageError>([&] { latents::to_images_of(info, "", at::kCPU); }),
              HasSubstr("draws latents of 4 channels: name what decodes them with --autoencoder"));
  const auto x = rng::normal({1, rng::Purpose::kTest, 0}, rng::consecutive(0, 2), {4, 4, 4});
  EXPECT_TRUE(at::equal(latents::to_images_of(info, file, at::kCPU)(x)[1], image::to_uint8(taesd()->decode(x))[1]));
}

TEST(LatentImages, RefuseADecoderOfOtherLatents) {
  const test::TemporaryFolder folder;
  const auto file = (folder / "net.safetensors").string();
  tensors::write_tensors(file, {test::taesd_weights({.width = 8, .latent = 4, .blocks = 1, .stages = 2}), {}});
  data::LatentCard card;
  card.channels = 16;
  card.factor = kFactor;
  EXPECT_THAT(message_of<Error>([&] { latents::load_decoder(card, file, at::kCPU); }),
              HasSubstr("decodes 4 channels at 1/4, these latents have 16 at 1/4"));
  EXPECT_THAT(message_of<Error>([&] { latents::load_decoder(card, "", at::kCPU); }), HasSubstr("do not say"));
  card.autoencoder = "/gone/net.safetensors";
  EXPECT_THAT(message_of<Error>([&] { latents::load_decoder(card, "", at::kCPU); }),
              HasSubstr("/gone/net.safetensors not found; name the one"));
}
