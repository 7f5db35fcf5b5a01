#include "sdg/regions/mask_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/data/crop.h"
#include "sdg/image/image.h"
#include "sdg/tensors/tensor_file.h"
#include "support/python.h"
#include "support/temporary_folder.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

/// One picture of 24 x 16 pixels, and its mask.
class MaskFile : public ::testing::Test {
 protected:
  MaskFile() {
    std::filesystem::create_directories(folder_ / "photos");
    std::filesystem::create_directories(folder_ / "masks");
    image::write_png(folder_ / "photos" / "a.png", at::zeros({3, 16, 24}, at::kByte));
    data::DataOptions options;
    options.path = (folder_ / "photos").string();
    opened_ = data::open_data(options, "");
  }
  void write(const Tensor& mask) const { image::write_png(folder_ / "masks" / "a.png", mask.unsqueeze(0)); }
  Tensor square(int64_t side, int64_t classes = 0, std::optional<int64_t> ignored = {}) const {
    return regions::MaskFiles(folder_ / "masks", *opened_.images).square(0, side, classes, ignored);
  }
  std::string failure(int64_t classes = 0, std::optional<int64_t> ignored = {}) const {
    try {
      square(8, classes, ignored);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  const test::TemporaryFolder folder_;
  data::OpenedData opened_;
};

}  // namespace

TEST_F(MaskFile, IsCutAsItsImageIs) {
  auto mask = at::zeros({16, 24}, at::kByte);
  mask.slice(0, 4, 8).slice(1, 4, 12).fill_(3);    // in the middle square from column 4 on: 0 to 8
  mask.slice(0, 8, 16).slice(1, 16, 24).fill_(7);  // of which 16 to 20 is left
  write(mask);
  EXPECT_TRUE(at::equal(square(16), mask.slice(1, 4, 20)));
  EXPECT_TRUE(at::equal(square(8), mask.slice(1, 4, 20).slice(0, 1, 16, 2).slice(1, 1, 16, 2)));
  EXPECT_TRUE(at::equal(square(32), mask.slice(1, 4, 20).repeat_interleave(2, 0).repeat_interleave(2, 1)));
  // Where the picture is halved and rounded, the crop of the mask as a picture is the judge.
  const auto as_picture = data::adm_center_crop(mask.eq(3).to(at::kByte).mul(255).unsqueeze(0), 10)[0].ge(128);
  EXPECT_LE(square(10).eq(3).ne(as_picture).sum().item<int64_t>(), 4) << "of 100, some at the edges";
}

TEST_F(MaskFile, IgnoredPixelsHaveNoClass) {
  auto mask = at::zeros({16, 24}, at::kByte);
  mask[3].fill_(9);
  mask[4].fill_(2);
  write(mask);
  const auto map = square(16, 3, 9);
  EXPECT_TRUE(map[3].eq(255).all().item<bool>());
  const auto vector = regions::classes_in(map.unsqueeze(0), 3);
  EXPECT_TRUE(at::equal(vector, at::tensor({1.F, 0.F, 1.F}).view({1, 3})));
}

TEST_F(MaskFile, MistakesAreNamedInOneLine) {
  EXPECT_THAT(failure(), HasSubstr("no mask of"));
  write(at::full({16, 24}, 5, at::kByte));
  EXPECT_THAT(failure(5), HasSubstr("holds the value 5, expected classes 0 to 4"));
  EXPECT_THAT(failure(5, 9), HasSubstr("0 to 4 and 9 for none"));
  write(at::full({16, 24}, 255, at::kByte));  // is none only where that is said
  EXPECT_THAT(failure(5), HasSubstr("holds the value 255, expected classes 0 to 4; --ignored names"));
  EXPECT_THAT(failure(), HasSubstr("holds the value 255, expected classes 0 to 253; --ignored names"));
  EXPECT_EQ(failure(5, 255), "");
  write(at::zeros({16, 16}, at::kByte));
  EXPECT_THAT(failure(), HasSubstr("is of 16 x 16 pixels, its image"));
  image::write_png(folder_ / "masks" / "a.png", at::zeros({3, 16, 24}, at::kByte));
  EXPECT_THAT(failure(), HasSubstr("this one has colours"));
  test::write_text(folder_ / "masks" / "a.png", "no picture");
  EXPECT_THAT(failure(), HasSubstr("expected a PNG of class numbers"));
}

TEST_F(MaskFile, OfATensorFileGoesByPlace) {
  tensors::TensorFile file;
  file.tensors["masks"] = at::full({1, 16, 24}, 4, at::kByte);
  tensors::write_tensors(folder_ / "masks.safetensors", file);
  const regions::MaskFiles masks(folder_ / "masks.safetensors", *opened_.images);
  EXPECT_TRUE(masks.square(0, 8, 5, {}).eq(4).all().item<bool>());
  file.tensors["masks"] = at::zeros({2, 16, 24}, at::kByte);
  tensors::write_tensors(folder_ / "two.safetensors", file);
  EXPECT_THROW(regions::MaskFiles(folder_ / "two.safetensors", *opened_.images), Error);
  const auto missing =
      test::message_of<Error>([&] { regions::MaskFiles(folder_ / "no.safetensors", *opened_.images); });
  EXPECT_THAT(missing, HasSubstr("no.safetensors: no such folder or file of masks"));
}

// VOC's files are indices into a palette, which Pillow writes with 1, 2, 4 or 8 bits.
TEST_F(MaskFile, PalettesAreReadAsTheirIndices) {
  SDG_NEEDS_PYTHON("PIL numpy");
  const auto result = test::run_python(R"(
import sys, numpy
from PIL import Image
for name, most, bits in (("many", 21, 8), ("few", 11, 4), ("two", 2, 1)):
    classes = (numpy.arange(16 * 24).reshape(16, 24) * 7 % most).astype(numpy.uint8)
    image = Image.fromarray(classes, mode="P")
    image.putpalette([(37 * i * k + 11) % 256 for i in range(most) for k in (1, 3, 5)])
    image.save(sys.argv[1] + "/" + name + ".png", bits=bits, transparency=0)
Image.fromarray(numpy.full((16, 24), 1, numpy.uint8) > 0).save(sys.argv[1] + "/grey1.png")
)",
                                       {folder_.path().string()});
  ASSERT_EQ(result.status, 0) << result.output;
  const auto numbers = (at::arange(16 * 24) * 7).view({16, 24});
  for (const auto& [name, most] : {std::pair{"many.png", 21}, {"few.png", 11}, {"two.png", 2}})
    EXPECT_TRUE(at::equal(image::read_png_classes(folder_ / name), numbers.remainder(most).to(at::kByte))) << name;
  EXPECT_THROW(image::read_png_classes(folder_ / "grey1.png"), Error) << "its values would be scaled";
}
