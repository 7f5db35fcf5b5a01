#include "sdg/image/resize.h"

#include <gtest/gtest.h>

#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/data/crop.h"

using namespace sdg;
using image::Filter;

namespace {

// value (7x + 13y + 31c) mod 256, the image of method.md's goldens; they come from Pillow.
Tensor formula(int64_t height, int64_t width) {
  const auto axis = [](int64_t n, int64_t step) { return at::arange(n, at::kLong) * step; };
  return (axis(width, 7).view({1, 1, -1}) + axis(height, 13).view({1, -1, 1}) + axis(3, 31).view({-1, 1, 1}))
      .remainder(256)
      .to(at::kByte);
}

std::vector<int64_t> pixel(const Tensor& image, int64_t y, int64_t x) {
  const auto values = image.select(1, y).select(1, x).to(at::kLong);
  return {values.const_data_ptr<int64_t>(), values.const_data_ptr<int64_t>() + values.numel()};
}

int64_t total(const Tensor& image) {
  return image.sum().item<int64_t>();
}

Tensor noise(int64_t channels, int64_t height, int64_t width) {
  return (rng::uniform({3, rng::Purpose::kTest, 0}, {0}, {channels, height, width})[0] * 256).to(at::kByte);
}

using Values = std::vector<int64_t>;

}  // namespace

TEST(Resize, BicubicEnlargingGivesPillowsBytes) {
  const auto out = image::resize(formula(20, 24), 29, 37);
  EXPECT_EQ(total(out), 409699);
  EXPECT_EQ(pixel(out, 0, 0), (Values{0, 30, 61}));
  EXPECT_EQ(pixel(out, 14, 18), (Values{205, 244, 0}));
  EXPECT_EQ(pixel(out, 28, 36), (Values{153, 184, 215}));
}

TEST(Resize, LanczosShrinkingGivesPillowsBytes) {
  const auto out = image::resize(formula(20, 24), 7, 9, {.filter = Filter::kLanczos});
  EXPECT_EQ(total(out), 24064);
  EXPECT_EQ(pixel(out, 0, 0), (Values{18, 49, 80}));
  EXPECT_EQ(pixel(out, 3, 4), (Values{211, 222, 54}));
}

TEST(Resize, BoxHalvingIsTheMeanOfEachBlock) {
  const auto image = noise(1, 6, 10);
  const auto wide = (image.slice(2, 0, 10, 2).to(at::kInt) + image.slice(2, 1, 10, 2) + 1).floor_divide(2);
  const auto expected = (wide.slice(1, 0, 6, 2) + wide.slice(1, 1, 6, 2) + 1).floor_divide(2).to(at::kByte);
  EXPECT_TRUE(at::equal(image::resize(image, 3, 5, {.filter = Filter::kBox}), expected));
}

TEST(Resize, TheSameSizeIsACopyForEveryFilter) {
  const auto image = noise(3, 9, 7);
  for (const char* name : {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}) {
    EXPECT_TRUE(at::equal(image::resize(image, 9, 7, {.filter = *config::from_name<image::Filter>(name)}), image))
        << name;
  }
}

TEST(Resize, AWindowIsThatPartOfTheWholeResult) {
  const auto image = noise(3, 31, 23);
  for (const char* name : {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}) {
    const auto filter = *config::from_name<image::Filter>(name);
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{17, 40}, {31, 11}, {50, 23}, {31, 23}}) {
      const auto whole = image::resize(image, height, width, {.filter = filter});
      const auto part = image::resize(image, height, width, {.filter = filter, .window = image::Window{3, 2, 9, 8}});
      EXPECT_TRUE(at::equal(part, whole.slice(1, 3, 12).slice(2, 2, 10))) << name << " " << height << "x" << width;
    }
  }
}

TEST(Resize, FloatKeepsAConstantAndARamp) {
  const auto constant = at::full({1, 12, 18}, 0.3F);
  EXPECT_TRUE(at::allclose(image::resize(constant, 5, 40, {.filter = Filter::kLanczos}), at::full({1, 5, 40}, 0.3F)));
  // Away from the edges the cubic kernel reproduces a straight line.
  const auto ramp = at::arange(32, at::kFloat).view({1, 1, 32}).expand({1, 2, 32});
  const auto doubled = image::resize(ramp, 2, 64)[0][0].slice(0, 8, 56);
  EXPECT_TRUE(at::allclose(doubled, at::arange(8, 56, at::kFloat) / 2 - 0.25, 0, 1e-5));
}

TEST(Resize, SaysWhatIsWrong) {
  EXPECT_THROW(image::resize(at::zeros({3, 4, 4}, at::kLong), 2, 2), Error);
  EXPECT_THROW(image::resize(at::zeros({4, 4}, at::kByte), 2, 2), Error);
  EXPECT_THROW(image::resize(at::zeros({3, 0, 4}, at::kByte), 2, 2), Error);
  EXPECT_THROW(image::resize(noise(3, 4, 4), 0, 2), Error);
  EXPECT_THROW(image::resize(noise(3, 4, 4), 2, 2, {.box = image::Box{0, 0, 5, 4}}), Error);
}

TEST(AdmCenterCrop, GivesThePublishedBytesWhereItHalves) {
  const auto out = data::adm_center_crop(formula(75, 50), 16);
  EXPECT_EQ(total(out), 97662);
  const Values row[] = {{184, 223, 171}, {211, 218, 89}, {223, 129, 27}, {166, 30, 48}};
  for (int64_t x = 0; x < 4; ++x) EXPECT_EQ(pixel(out, 0, x), row[x]);
  EXPECT_EQ(pixel(out, 8, 8), (Values{177, 219, 193}));
  EXPECT_EQ(pixel(out, 15, 15), (Values{101, 131, 162}));
}

TEST(AdmCenterCrop, GivesThePublishedBytesWithoutHalving) {
  const auto out = data::adm_center_crop(formula(20, 24), 16);
  EXPECT_EQ(total(out), 97805);
  EXPECT_EQ(pixel(out, 0, 0), (Values{12, 43, 74}));
  EXPECT_EQ(pixel(out, 0, 1), (Values{21, 52, 83}));
  EXPECT_EQ(pixel(out, 8, 8), (Values{213, 227, 11}));
  EXPECT_EQ(pixel(out, 15, 15), (Values{131, 162, 193}));
}

// Enlarging all of it would take 64 x 4,194,240 pixels; only the window is made.
TEST(AdmCenterCrop, TakesASliverWithoutEnlargingAllOfIt) {
  const auto sliver = noise(1, 1, 65535);
  const auto out = data::adm_center_crop(sliver, 64);
  EXPECT_EQ(out.sizes(), (at::IntArrayRef{1, 64, 64}));
  EXPECT_TRUE(at::equal(out[0][0], out[0][63]));
}

TEST(ToChannels, GreyIsTheLumaOfPillow) {
  const auto image =
      at::tensor({255, 0, 0, 255, 10, 0, 255, 0, 255, 20, 0, 0, 255, 255, 30}, at::kByte).view({3, 1, 5});
  const auto grey = data::to_channels(image, 1);  // Pillow: convert("L") of red, green, blue, white and (10, 20, 30)
  EXPECT_TRUE(at::equal(grey, at::tensor({76, 150, 29, 255, 18}, at::kByte).view({1, 1, 5})));
}

TEST(ToChannels, ColourRepeatsGreyAndTheSameCountChangesNothing) {
  const auto grey = noise(1, 3, 4), colour = noise(3, 3, 4);
  EXPECT_TRUE(at::equal(data::to_channels(grey, 3), at::cat({grey, grey, grey})));
  EXPECT_TRUE(at::equal(data::to_channels(colour, 3), colour));
  EXPECT_THROW(data::to_channels(colour, 2), Error);
  EXPECT_THROW(data::to_channels(noise(2, 3, 4), 1), Error);
}
