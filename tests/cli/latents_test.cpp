// Images -> latents -> a trained network -> pictures, with a tiny autoencoder of random weights.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"
#include "model/autoencoder_weights.h"
#include "sdg/core/error.h"
#include "sdg/data/opened.h"
#include "sdg/image/image.h"
#include "sdg/model/autoencoder.h"
#include "sdg/tensors/tensor_file.h"

using namespace sdg;
using test::expect_failure;
using test::Program;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kSize = 32, kFactor = 4, kSide = kSize / kFactor;

/// A folder `photos` of two classes and the autoencoder's files in the working folder.
class LatentProgram : public Program {
 protected:
  void SetUp() override {
    const test::TaesdSizes tiny{.width = 8, .latent = 4, .blocks = 1, .stages = 2};
    tensors::write_tensors(folder_ / "encoder.safetensors", {test::taesd_encoder(tiny), {}});
    tensors::write_tensors(folder_ / "decoder.safetensors", {test::taesd_decoder(tiny), {}});
    for (int64_t i = 0; i < 12; ++i) {
      const auto name = cat("photos/", i % 2 == 0 ? "cat" : "dog", "/", i, ".png");
      std::filesystem::create_directories((folder_ / name).parent_path());
      image::write_png(folder_ / name,
                       (rng::uniform({7, rng::Purpose::kTest, 0}, {i}, {3, 40, 36})[0] * 255).to(at::kByte));
    }
  }
  test::Outcome encode(const std::string& more = "") const {
    return sdg(
        "encode --device cpu --autoencoder encoder.safetensors,decoder.safetensors --in photos --out "
        "l.safetensors --size 32 " +
        more);
  }
  // A run of 4 steps on 4x8x8 latents.
  test::Outcome train(const std::string& more = "") const {
    return sdg("train --run run " + test::kTiny +
               "--set data.path=l.safetensors --set data.channels=4 --set data.size=8 --set train.steps=4 "
               "--set train.batch=6 --set train.picture_every=4 --set eval.cluster_images=12 " +
               more);
  }
};

}  // namespace

TEST_F(LatentProgram, EncodesTrainsAndSamplesPicturesOfTheRightSize) {
  const auto encoded = encode("--flip --psnr");
  ASSERT_EQ(encoded.code, 0) << encoded.err;
  EXPECT_THAT(encoded.out, HasSubstr("PSNR of the reconstructions: mean "));
  EXPECT_THAT(encoded.err, HasSubstr("wrote 12 latents to l.safetensors: 4x8x8"));
  data::DataOptions where;
  where.path = (folder_ / "l.safetensors").string();
  const auto opened = data::open_data(where, "");
  const auto& latents = *opened.latents;
  EXPECT_EQ(latents.name(0), "cat/0.png");
  EXPECT_EQ(latents.card().size, kSide);

  const auto trained = train("--set data.flip=true");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto sheet = image::read_image(folder_.path() / "run" / "pictures" / "samples-4.png");
  EXPECT_EQ(sheet.size(0), 3);
  EXPECT_GT(sheet.size(1), 4 * kSize);
  EXPECT_TRUE(std::filesystem::exists(folder_.path() / "run" / "pictures" / "clusters-4.png"));

  const auto sampled = sdg("sample --device cpu --run run --count 5 --out drawn");
  ASSERT_EQ(sampled.code, 0) << sampled.err;
  EXPECT_EQ(test::count_files(folder_ / "drawn"), 5);
  EXPECT_EQ(image::read_image(folder_.path() / "drawn" / "000004.png").sizes(), at::IntArrayRef({3, kSize, kSize}));

  // The reference is what was encoded, at its own size, and not what the autoencoder makes of it.
  const auto fid = sdg("eval-fid --device cpu --run run --count 8 --extractor digits --json");
  ASSERT_EQ(fid.code, 0) << fid.err;
  const auto row = nlohmann::json::parse(fid.out);
  EXPECT_EQ(row.at("reference"), (folder_ / "photos").string());
  EXPECT_EQ(row.at("reference_count"), 12);
  const auto clusters = sdg("eval-clusters --device cpu --run run --json");
  ASSERT_EQ(clusters.code, 0) << clusters.err;
  EXPECT_EQ(nlohmann::json::parse(clusters.out).at("images"), 12);
}

TEST_F(LatentProgram, DecodesToFilesNamedAfterTheImages) {
  ASSERT_EQ(encode().code, 0);
  const auto decoded = sdg("decode --device cpu --in l.safetensors --out back --first 2 --count 5");
  ASSERT_EQ(decoded.code, 0) << decoded.err;
  EXPECT_EQ(test::count_files(folder_ / "back/cat") + test::count_files(folder_ / "back/dog"), 5);
  EXPECT_EQ(image::read_image(folder_ / "back/cat/2.png").sizes(), at::IntArrayRef({3, kSize, kSize}));

  // Only those names are ever replaced.
  const std::string command = "decode --device cpu --in l.safetensors --out back";
  expect_failure(sdg(command), 2, "holds 5 images already");
  ASSERT_EQ(sdg(command + " --count 2 --overwrite").code, 0);
  EXPECT_EQ(test::count_files(folder_ / "back/cat"), 2);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "back/dog"));
  test::write_text(folder_ / "back/cat/mine.png", "mine");
  expect_failure(sdg(command + " --overwrite"), 2, "holds cat/mine.png");
  EXPECT_EQ(test::read_text(folder_ / "back/cat/mine.png"), "mine");
}

TEST_F(LatentProgram, AnInterruptedEncodingIsGoneOnWith) {
  const auto slow = encode("--batch 1");
  ASSERT_EQ(slow.code, 0) << slow.err;
  const auto whole = test::read_text(folder_ / "l.safetensors");
  std::filesystem::remove(folder_ / "l.safetensors");
  {
    test::RunningProgram program(
        folder_.path(),
        "encode --device cpu --autoencoder encoder.safetensors,decoder.safetensors --in photos "
        "--out l.safetensors --size 32 --batch 1");
    program.send(SIGTERM);
    const int code = program.wait().code;
    EXPECT_TRUE(code == 143 || code == 0) << code;  // it may be done before the signal comes
  }
  if (!std::filesystem::exists(folder_ / "l.safetensors")) {
    ASSERT_EQ(encode("--batch 1").code, 0);
  }
  EXPECT_EQ(test::read_text(folder_ / "l.safetensors"), whole);
}

TEST_F(LatentProgram, TheDecoderCanBeNamedAnew) {
  ASSERT_EQ(encode().code, 0);
  ASSERT_EQ(train("--set condition.source=none --set train.picture_every=0").code, 0);
  std::filesystem::create_directory(folder_ / "moved");
  std::filesystem::rename(folder_ / "decoder.safetensors", folder_ / "moved/d.safetensors");
  std::filesystem::remove(folder_ / "encoder.safetensors");
  expect_failure(sdg("sample --device cpu --run run --count 1"), 1, "encoder.safetensors not found; name the one");
  const auto named = sdg("sample --device cpu --run run --count 1 --autoencoder moved/d.safetensors");
  EXPECT_EQ(named.code, 0) << named.err;
  expect_failure(train("--set condition.source=none --set train.steps=5"), 1, "not found; name the one");
  EXPECT_EQ(train("--set condition.source=none --set train.steps=5 --set data.autoencoder=moved/d.safetensors").code,
            0);
}

TEST_F(LatentProgram, WritesLatentsThatDecodeToThePictures) {
  ASSERT_EQ(encode().code, 0);
  ASSERT_EQ(train("--set condition.source=none --set train.picture_every=0").code, 0);
  const std::string sample = "sample --device cpu --run run --count 20 --steps 3 ";
  ASSERT_EQ(sdg(sample + "--out drawn").code, 0);
  const auto written = sdg(sample + "--latents drawn.safetensors --batch 1");
  ASSERT_EQ(written.code, 0) << written.err;
  ASSERT_EQ(sdg(sample + "--latents again.safetensors").code, 0);
  EXPECT_EQ(test::read_text(folder_ / "drawn.safetensors"), test::read_text(folder_ / "again.safetensors"));
  const auto latents = tensors::read_tensors(folder_ / "drawn.safetensors").at("mean");
  ASSERT_EQ(latents.sizes(), at::IntArrayRef({20, 4, kSide, kSide}));
  const auto autoencoder = model::load_autoencoder(
      cat((folder_ / "encoder.safetensors").string(), ",", (folder_ / "decoder.safetensors").string()));
  const auto decoded = sdg("decode --device cpu --in drawn.safetensors --out decoded");
  ASSERT_EQ(decoded.code, 0) << decoded.err;
  for (const int64_t i : {0, 19}) {
    const auto name = cat("0000", i < 10 ? "0" : "", i, ".png");
    const auto drawn = image::read_image(folder_ / "drawn" / name);
    EXPECT_TRUE(at::equal(image::to_uint8(autoencoder->decode(latents[i].unsqueeze(0)))[0], drawn));
    EXPECT_TRUE(at::equal(image::read_image(folder_ / "decoded" / name), drawn));
  }
}

TEST_F(LatentProgram, APhotographIsEncodedAndVariedOrFilled) {
  ASSERT_EQ(encode().code, 0);
  ASSERT_EQ(train("--set condition.source=none --set train.picture_every=0").code, 0);
  const auto photo = (rng::uniform({8, rng::Purpose::kTest, 0}, {0}, {3, kSize, kSize})[0] * 255).to(at::kByte);
  image::write_png(folder_ / "photo.png", photo);
  auto hole = at::zeros({1, kSize, kSize}, at::kByte);
  hole[0][5][9] = 255;  // one pixel, of the latent in row 1 and column 2
  image::write_png(folder_ / "hole.png", hole);
  image::write_png(folder_ / "small.png", hole.slice(1, 0, 8).slice(2, 0, 8));
  const auto autoencoder = model::load_autoencoder(
      cat((folder_ / "encoder.safetensors").string(), ",", (folder_ / "decoder.safetensors").string()));
  const auto encoded =
      autoencoder->space().to_model(autoencoder->encode(photo.unsqueeze(0).to(at::kFloat) / 127.5 - 1).mean)[0];
  const auto latents = [&](const std::string& more) {
    const auto out = sdg("sample --device cpu --run run --count 2 --steps 4 --latents x.safetensors " + more);
    EXPECT_EQ(out.code, 0) << out.err;
    const auto drawn = tensors::read_tensors(folder_ / "x.safetensors").at("mean").clone();
    std::filesystem::remove(folder_ / "x.safetensors");
    return autoencoder->space().to_model(drawn);
  };
  const auto nearest = [&](const Tensor& drawn) { return (drawn - encoded).abs().max().item<double>(); };
  EXPECT_LT(nearest(latents("--from photo.png --strength 0.001")), 0.02);
  EXPECT_GT(nearest(latents("--from photo.png --strength 1")), 0.5);
  const auto filled = latents("--from photo.png --mask hole.png");
  const auto change = (filled - encoded).abs().amax({0, 1});  // [S, S]
  EXPECT_GT(change[1][2].item<double>(), 0.01);
  change[1][2] = 0;
  EXPECT_LT(change.max().item<double>(), 1e-3) << "what is black is kept, but for the path's last 1e-4 of noise";
  EXPECT_EQ(latents("--between 0,1").sizes(), at::IntArrayRef({2, 4, kSide, kSide}));

  const std::string sample = "sample --device cpu --run run --count 1 ";
  expect_failure(sdg(sample + "--from small.png"), 2, "--from: small.png is 8 x 8, and this network draws 32 x 32");
  expect_failure(sdg(sample + "--from photo.png --mask small.png"), 2, "--mask: small.png is 8 x 8");
  expect_failure(sdg(sample + "--from photo.png --autoencoder decoder.safetensors"), 2,
                 "holds no encoder; name ENCODER");
  expect_failure(sdg("invert --device cpu --run run --pictures photo.png"), 2, "compares pixels");
}

TEST_F(LatentProgram, SaysInOneLineWhatIsWrong) {
  const std::string start = "encode --device cpu --out l.safetensors ";
  expect_failure(sdg(start + "--autoencoder gone.safetensors --in photos"), 1, "gone.safetensors not found");
  tensors::write_tensors(folder_ / "other.safetensors", {{{"fc.weight", at::ones({2, 2})}}, {}});
  expect_failure(sdg(start + "--autoencoder other.safetensors --in photos"), 1,
                 "expected an autoencoder (KL or TAESD)");
  expect_failure(sdg(start + "--autoencoder decoder.safetensors --in photos --size 32"), 2, "holds no encoder");
  expect_failure(sdg(start + "--autoencoder encoder.safetensors --in photos --size 30"), 2, "a multiple of 4 pixels");
  expect_failure(sdg(start + "--autoencoder encoder.safetensors --in nowhere --size 32"), 1, "nowhere");
  expect_failure(sdg("encode --in photos"), 2, "--autoencoder");
  ASSERT_EQ(encode().code, 0);
  expect_failure(encode(), 1, "is there already");
  expect_failure(sdg("encode --device cpu --out m.safetensors --autoencoder encoder.safetensors --in l.safetensors"), 2,
                 "holds latents already");
  expect_failure(train("--set data.channels=3"), 2, "set data.size=8 and data.channels=4");
  expect_failure(train("--set data.flip=true"), 2, "encode with --flip");
  expect_failure(sdg("decode --device cpu --in photos/cat/0.png"), 1, "0.png");
  expect_failure(sdg("decode --device cpu --in encoder.safetensors"), 1, "not a file of latents");
}
