// Pictures written as lossless WebP; what is read of other WebP files is compared with Pillow in image_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"
#include "sdg/image/image.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"

using namespace sdg;
using test::message_of;
using ::testing::HasSubstr;
using ::testing::StartsWith;

namespace {

Tensor picture(int64_t channels, int64_t height, int64_t width) {
  const Tensor numbers = at::arange(channels * height * width).view({channels, height, width});
  return (numbers * numbers / 3).remainder(256).to(at::kByte);
}
Tensor decode(const std::string& bytes) {
  return image::decode_image(std::as_bytes(std::span(bytes)), "a.webp");
}
std::string rejection(const std::string& bytes) {
  return message_of<Error>([&] { decode(bytes); });
}

}  // namespace

TEST(Webp, ComesBackExactlyWithAndWithoutText) {
  for (const auto& [height, width] : {std::pair{13, 29}, std::pair{1, 1}, std::pair{64, 3}}) {
    const Tensor image = picture(3, height, width), grey = picture(1, height, width);
    for (const std::string text : {"", "odd", "even"}) {
      EXPECT_TRUE(at::equal(decode(image::encode_webp(image, text)), image)) << height << text;
      EXPECT_TRUE(at::equal(decode(image::encode_webp(grey, text)), grey.expand({3, -1, -1}))) << height << text;
    }
  }
}

TEST(Webp, PillowReadsTheSamePixelsAndTheText) {
  SDG_NEEDS_PYTHON("PIL numpy safetensors");
  const test::TemporaryFolder folder;
  image::write_picture(folder / "colours.webp", picture(3, 21, 34), "image 3, seed 0");
  image::write_picture(folder / "grey.webp", picture(1, 8, 8), "x");
  image::write_picture(folder / "silent.webp", picture(3, 5, 7));
  const auto result = test::run_python(R"(
import sys, numpy as np
from PIL import Image
from safetensors.numpy import save_file
pixels, said = {}, {'colours': 'image 3, seed 0', 'grey': 'x', 'silent': None}
for name, text in said.items():
    image = Image.open(f'{sys.argv[1]}/{name}.webp')
    assert image.format == 'WEBP' and image.getexif().get(0x010E) == text, (name, dict(image.getexif()))
    pixels[name] = np.ascontiguousarray(np.array(image.convert('RGB')).transpose(2, 0, 1))
save_file(pixels, sys.argv[1] + '/pixels.safetensors')
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto pixels = tensors::read_tensors(folder / "pixels.safetensors");
  EXPECT_TRUE(at::equal(pixels.at("colours"), picture(3, 21, 34)));
  EXPECT_TRUE(at::equal(pixels.at("grey"), picture(1, 8, 8).expand({3, -1, -1})));
  EXPECT_TRUE(at::equal(pixels.at("silent"), picture(3, 5, 7)));
}

TEST(Webp, CutAnywhereIsRefused) {
  for (const std::string text : {"", "said"}) {
    const auto whole = image::encode_webp(picture(3, 20, 20), text);
    for (size_t length = 1; length < whole.size(); ++length)
      EXPECT_THAT(rejection(whole.substr(0, length)), StartsWith("a.webp: ")) << length;
    EXPECT_THAT(rejection(whole.substr(0, whole.size() - 1)), HasSubstr("truncated WebP: expected"));
  }
}

TEST(Webp, AnimationsAndHostileSizesAreRefused) {
  SDG_NEEDS_PYTHON("PIL numpy");
  const test::TemporaryFolder folder;
  const auto result = test::run_python(R"(
import sys, numpy as np
from PIL import Image
frames = [Image.fromarray(np.full((8, 8, 3), v, np.uint8)) for v in (0, 200)]
frames[0].save(sys.argv[1] + '/moving.webp', save_all=True, append_images=frames[1:], duration=100)
)",
                                       {folder.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  EXPECT_THAT(message_of<Error>([&] { image::read_image(folder / "moving.webp"); }), HasSubstr("(an animation)"));
  EXPECT_THAT(rejection(std::string("RIFF\x04\0\0\0WEBP", 12)), StartsWith("a.webp: "));
  EXPECT_THAT(rejection(std::string("RIFF\xFF\xFF\xFF\xFFWEBPVP8L", 16)), HasSubstr("truncated WebP"));
  EXPECT_THAT(message_of<Error>([] { image::encode_webp(at::zeros({3, 1, 20000}, at::kByte)); }),
              HasSubstr("at most 16383 pixels a side, got Byte [3, 1, 20000]"));
  EXPECT_THAT(message_of<Error>([] { image::encode_webp(at::zeros({4, 4, 4}, at::kByte)); }), HasSubstr("[4, 4, 4]"));
}
