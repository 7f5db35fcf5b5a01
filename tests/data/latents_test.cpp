#include "sdg/data/latents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/data/dataset.h"
#include "sdg/data/loader.h"
#include "sdg/tensors/tensor_file.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::message_of;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kCount = 6, kChannels = 2, kSide = 4;

data::LatentCard card() {
  data::LatentCard card;
  card.channels = kChannels;
  card.size = kSide;
  card.scale = 0.5;
  card.shift = 0.25;
  card.kind = "kl";
  card.autoencoder = "/somewhere/vae.safetensors";
  card.encoder_id = "0123456789abcdef";
  card.images = "/somewhere/images";
  return card;
}

Tensor made(int64_t key) {
  return rng::normal({11, rng::Purpose::kTest, 0}, rng::consecutive(100 * key, kCount), {kChannels, kSide, kSide});
}

/// mean is made(0), logvar made(1), the mirrored ones made(2) and made(3).
tensors::TensorFile made_file(bool gaussian, bool flips) {
  tensors::TensorFile file;
  file.metadata = data::to_metadata(card());
  file.tensors["mean"] = made(0);
  if (gaussian) file.tensors["logvar"] = made(1);
  if (flips) file.tensors["mean_flipped"] = made(2);
  if (gaussian && flips) file.tensors["logvar_flipped"] = made(3);
  file.tensors["labels"] = at::tensor({0, 1, 2, 0, 1, 2}, at::kLong);
  const std::string names = "a/0.png\na/1.png\na/2.png\nb/3.png\nb/4.png\nb/5.png\n";
  file.tensors["names"] = at::tensor(std::vector<int64_t>(names.begin(), names.end())).to(at::kByte);
  return file;
}

class Latents : public ::testing::Test {
 protected:
  std::filesystem::path write(const tensors::TensorFile& file) const {
    tensors::write_tensors(folder_ / "l.safetensors", file);
    return folder_ / "l.safetensors";
  }
  data::OpenedData open(const tensors::TensorFile& file) const {
    data::DataOptions options;
    options.path = write(file).string();
    return data::open_data(options, "");
  }
  static data::DataOptions options(bool flip = false) {
    data::DataOptions options;
    options.size = kSide;
    options.channels = kChannels;
    options.flip = flip;
    return options;
  }
  const test::TemporaryFolder folder_;
};

// What the loader must give for a sample, from the formula.
Tensor expected(int64_t index, bool flipped, const Tensor& noise) {
  const auto mean = made(flipped ? 2 : 0)[index], logvar = made(flipped ? 3 : 1)[index];
  return 0.5 * (mean + (0.5 * logvar).exp() * noise - 0.25);
}

}  // namespace

TEST_F(Latents, TheCardComesBackFromItsMetadata) {
  auto given = card();
  given.scale = 0.18215;
  given.shift = 1.0 / 3;
  const auto back = data::parse_latent_card(data::to_metadata(given), "x");
  EXPECT_EQ(back.scale, given.scale);
  EXPECT_EQ(back.shift, given.shift);
  EXPECT_EQ(data::to_metadata(back), data::to_metadata(given));
  EXPECT_EQ(back.image_size(), 32);
}

TEST_F(Latents, AreRecognisedByTheirMetadata) {
  const auto opened = open(made_file(true, true));
  ASSERT_TRUE(opened.latents);
  EXPECT_FALSE(opened.images);
  EXPECT_EQ(opened.size(), kCount);
  EXPECT_EQ(opened.latents->name(3), "b/3.png");
  ASSERT_TRUE(opened.labels);
  EXPECT_EQ(opened.labels->class_names().size(), 3U);
  EXPECT_THAT(opened.description, HasSubstr("(2x4x4): 6 images, 3 classes"));
}

TEST_F(Latents, ValuesAreTheMeansInModelUnits) {
  const data::Dataset dataset(open(made_file(true, false)), options());
  EXPECT_TRUE(at::allclose(dataset.values({4, 1}), 0.5 * (made(0).index_select(0, at::tensor({4, 1})) - 0.25)));
  EXPECT_EQ(dataset.channels(), kChannels);
  EXPECT_EQ(dataset.image_size(), kSide);
}

TEST_F(Latents, HalfPrecisionIsReadAsFloats) {
  auto file = made_file(false, false);
  file.tensors["mean"] = made(0).to(at::kHalf);
  const data::Dataset dataset(open(file), options());
  EXPECT_TRUE(at::allclose(dataset.values({2})[0], 0.5 * (made(0)[2] - 0.25), 1e-3, 1e-3));
}

TEST_F(Latents, TheLoaderDrawsEachSampleAnewFromItsDistribution) {
  const data::Dataset dataset(open(made_file(true, true)), options(true));
  data::Loader loader(dataset, {.batch = 4, .seed = 3, .flip = true, .threads = 2}, 0);
  int64_t flips = 0;
  for (int64_t step = 0; step < 6; ++step) {
    const auto batch = loader.next();
    const auto noise = rng::normal({3, rng::Purpose::kLatent, 0}, batch.sample, {kChannels, kSide, kSide});
    const auto coin = rng::uniform({3, rng::Purpose::kFlip, 0}, batch.sample, {1});
    for (int64_t row = 0; row < 4; ++row) {
      const bool flipped = coin[row].item<float>() < 0.5F;
      flips += flipped;
      const auto wanted = expected(batch.index[static_cast<size_t>(row)], flipped, noise[row]);
      EXPECT_TRUE(at::allclose(batch.x[row], wanted, 1e-5, 1e-6)) << step << " " << row;
    }
  }
  EXPECT_GT(flips, 0);
  EXPECT_LT(flips, 24);
}

TEST_F(Latents, NeitherThreadsNorTheFirstStepChangeADraw) {
  const data::Dataset dataset(open(made_file(true, false)), options());
  data::Loader one(dataset, {.batch = 5, .seed = 8, .threads = 0}, 0);
  one.next();
  data::Loader other(dataset, {.batch = 5, .seed = 8, .threads = 3}, 5);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(at::equal(one.next().x, other.next().x));
}

TEST_F(Latents, OfADeterministicEncoderAreTakenAsTheyAre) {
  const data::Dataset dataset(open(made_file(false, false)), options());
  data::Loader loader(dataset, {.batch = kCount, .seed = 1}, 0);
  const auto batch = loader.next();
  EXPECT_TRUE(at::equal(batch.x, dataset.values(batch.index)));
}

TEST_F(Latents, AreNeverMirroredThemselves) {
  EXPECT_THAT(message_of<UsageError>([&] { data::Dataset(open(made_file(true, false)), options(true)); }),
              HasSubstr("encode with --flip or set data.flip=false"));
}

TEST_F(Latents, SayWhichSizeTheModelMustHave) {
  auto wrong = options();
  wrong.size = 32;
  EXPECT_THAT(message_of<UsageError>([&] { data::Dataset(open(made_file(true, false)), wrong); }),
              HasSubstr("set data.size=4 and data.channels=2"));
}

TEST_F(Latents, HaveNoPixels) {
  const data::Dataset dataset(open(made_file(true, false)), options());
  EXPECT_THAT(message_of<Error>([&] { dataset.image(0); }), HasSubstr("no pixels"));
  EXPECT_THAT(message_of<Error>([&] { dataset.images({0}); }), HasSubstr("no pixels"));
}

TEST_F(Latents, OfBeforeThereWereChecksumsLoadAndDamagedOnesDoNot) {
  auto file = made_file(true, false);
  const auto path = write(file);
  auto bytes = test::read_text(path);
  bytes[bytes.size() - 100] = static_cast<char>(bytes[bytes.size() - 100] ^ 1);
  test::write_text(path, bytes);
  data::DataOptions where;
  where.path = path.string();
  EXPECT_THAT(message_of<Error>([&] { data::open_data(where, ""); }), HasSubstr("damaged: the checksum"));
  file.metadata["format"] = "sdg-latents-1";
  EXPECT_EQ(open(file).size(), kCount);
}

TEST_F(Latents, NamesWhatIsWrongWithTheFile) {
  const auto refusal = [&](const std::function<void(tensors::TensorFile&)>& spoil) {
    auto file = made_file(true, true);
    spoil(file);
    return message_of<Error>([&] { open(file); });
  };
  EXPECT_THAT(refusal([](auto& f) { f.metadata["format"] = "sdg-latents-9"; }), HasSubstr("sdg-latents-9"));
  EXPECT_THAT(refusal([](auto& f) { f.metadata.erase("scale"); }), HasSubstr("no metadata `scale`"));
  EXPECT_THAT(refusal([](auto& f) { f.metadata["scale"] = "many"; }), HasSubstr("got 'many'"));
  EXPECT_THAT(refusal([](auto& f) { f.metadata["scale"] = "0"; }), HasSubstr("a scale that is not 0"));
  EXPECT_THAT(refusal([](auto& f) { f.metadata["size"] = "8"; }), HasSubstr("expected `mean` [N, 2, 8, 8]"));
  EXPECT_THAT(refusal([](auto& f) { f.tensors["logvar"] = at::zeros({1}); }), HasSubstr("`logvar` is [1]"));
  EXPECT_THAT(refusal([](auto& f) { f.tensors.erase("logvar_flipped"); }), HasSubstr("logvar_flipped"));
  EXPECT_THAT(refusal([](auto& f) { f.tensors["mean"] = f.tensors["mean"].to(at::kByte); }), HasSubstr("Byte"));
  EXPECT_THAT(refusal([](auto& f) { f.tensors["names"] = at::zeros({3}, at::kByte); }), HasSubstr("1 names of 6"));
  EXPECT_THAT(refusal([](auto& f) { f.tensors["labels"] = at::zeros({5}, at::kLong); }), HasSubstr("labels"));
}
