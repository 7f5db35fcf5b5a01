#include "sdg/model/tiling.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/autoencoder_weights.h"
#include "model/fill_rule.h"
#include "sdg/core/error.h"
#include "support/temporary_folder.h"

using namespace sdg;
using namespace sdg::model;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

// Factor 2. An output sees no further than: decoder 1 + 3 latents and 1 + 3 + 1 pixels, 13 pixels in all; encoder
// 1 + 3 + 1 pixels and 3 + 1 latents, the same.
constexpr int64_t kSees = 14;

std::shared_ptr<const Autoencoder> tiny(bool pool = false) {
  return make_autoencoder(test::taesd_weights({.width = 6, .latent = 4, .blocks = 1, .stages = 1, .pool = pool}), {},
                          at::kCPU, "net");
}

/// Remembers the largest piece that it was given.
class Watched : public Autoencoder {
 public:
  explicit Watched(std::shared_ptr<const Autoencoder> inner) : inner_(std::move(inner)) { space_ = inner_->space(); }
  std::string kind() const override { return "watched"; }
  bool has_encoder() const override { return true; }
  bool has_decoder() const override { return true; }
  bool is_gaussian() const override { return false; }
  int64_t parameter_count() const override { return 0; }
  LatentDistribution encode(const Tensor& images) const override {
    most_ = std::max(most_, images.size(2) * images.size(3));
    return inner_->encode(images);
  }
  Tensor decode(const Tensor& raw) const override {
    most_ = std::max(most_, raw.size(2) * raw.size(3));
    return inner_->decode(raw);
  }
  mutable int64_t most_ = 0;

 private:
  std::shared_ptr<const Autoencoder> inner_;
};

double farthest(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace

TEST(Tiling, TilesCoverTheWholeLength) {
  EXPECT_THAT(tile_starts(10, 16, 4), ElementsAre(0));
  EXPECT_THAT(tile_starts(16, 16, 4), ElementsAre(0));
  EXPECT_THAT(tile_starts(17, 16, 4), ElementsAre(0, 1));
  EXPECT_THAT(tile_starts(40, 16, 4), ElementsAre(0, 12, 24));
  EXPECT_THAT(tile_starts(41, 16, 4), ElementsAre(0, 12, 24, 25));
}

TEST(Tiling, WithAMarginAsWideAsTheNetworkSeesTheResultIsTheUntiledOne) {
  const at::NoGradGuard no_grad;
  const auto net = tiny();
  const TileOptions options{.tile = 48, .overlap = 36, .margin = kSees};
  const auto images = test::fill_input({1, 3, 112, 70}) * test::fill_input({1, 3, 112, 1}).add(2);
  const auto whole = net->encode(images).mean;
  EXPECT_LT(farthest(encode_tiled(*net, images, options).mean, whole), 2e-6 * whole.abs().max().item<double>());
  const auto decoded = net->decode(whole);
  EXPECT_LT(farthest(decode_tiled(*net, whole, options), decoded), 2e-6 * decoded.abs().max().item<double>());
  // The bound means something: without the margin the tiles' edges show.
  const TileOptions bare{.tile = 48, .overlap = 4, .margin = 0};
  EXPECT_GT(farthest(decode_tiled(*net, whole, bare), decoded), 1e-3 * decoded.abs().max().item<double>());
}

TEST(Tiling, NoPieceIsLargerThanATile) {
  const at::NoGradGuard no_grad;
  const Watched net(tiny());
  const TileOptions options{.tile = 32, .overlap = 8, .margin = 2};
  const auto images = test::fill_input({1, 3, 96, 32});
  const auto latents = encode_tiled(net, images, options);
  EXPECT_EQ(net.most_, 32 * 32);
  EXPECT_EQ(latents.mean.sizes(), at::IntArrayRef({1, 4, 48, 16}));
  net.most_ = 0;
  EXPECT_EQ(decode_tiled(net, latents.mean, options).sizes(), images.sizes());
  EXPECT_EQ(net.most_, 16 * 16);
}

TEST(Tiling, AnImageThatFitsOneTileIsNotTiled) {
  const at::NoGradGuard no_grad;
  const auto net = tiny(/*pool=*/true);
  const auto images = test::fill_input({1, 3, 32, 24});
  EXPECT_TRUE(
      at::equal(encode_tiled(*net, images, {.tile = 32, .overlap = 8, .margin = 2}).mean, net->encode(images).mean));
}

TEST(Tiling, BothMomentsOfAKlAutoencoderAreBlended) {
  const at::NoGradGuard no_grad;
  AutoencoderOptions options;
  options.norm_groups = 8;
  const auto net =
      make_autoencoder(test::kl_weights({.channels = {8, 16}, .layers = 1, .latent = 4}), options, at::kCPU, "net");
  const auto images = test::fill_input({1, 3, 40, 24});
  const auto latents = encode_tiled(*net, images, {.tile = 24, .overlap = 8, .margin = 2});
  EXPECT_EQ(latents.mean.sizes(), at::IntArrayRef({1, 4, 20, 12}));
  ASSERT_TRUE(latents.logvar.defined());
  // Above the first overlap nothing is blended.
  const auto first = net->encode(images.narrow(2, 0, 24));
  EXPECT_LT(farthest(latents.logvar.narrow(2, 0, 8), first.logvar.narrow(2, 0, 8)), 1e-5);
}

TEST(Tiling, RefusesAnOverlapThatLeavesNothing) {
  const auto net = tiny();
  const auto images = at::zeros({1, 3, 64, 64});
  EXPECT_THAT(
      test::message_of<UsageError>([&] { encode_tiled(*net, images, {.tile = 32, .overlap = 32, .margin = 0}); }),
      HasSubstr("tile > overlap > 2 margin"));
  EXPECT_THAT(
      test::message_of<UsageError>([&] { encode_tiled(*net, images, {.tile = 32, .overlap = 8, .margin = 4}); }),
      HasSubstr("got 32, 8 and 4 pixels"));
}
