#include "sdg/regions/box_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/data/opened.h"
#include "sdg/image/image.h"
#include "sdg/tensors/tensor_file.h"
#include "support/temporary_folder.h"

using namespace sdg;
using regions::Box;
using regions::Missing;
using ::testing::HasSubstr;

namespace {

/// Two pictures, 20 x 10 and 10 x 10 pixels.
class BoxFile : public ::testing::Test {
 protected:
  BoxFile() {
    std::filesystem::create_directories(folder_ / "photos" / "cat");
    image::write_png(folder_ / "photos" / "cat" / "a.png", at::zeros({1, 10, 20}, at::kByte));
    image::write_png(folder_ / "photos" / "cat" / "b.png", at::zeros({1, 10, 10}, at::kByte));
    data::DataOptions options;
    options.path = (folder_ / "photos").string();
    opened_ = data::open_data(options, "");
  }

  std::vector<Box> json(const std::string& text) const {
    test::write_text(folder_ / "boxes.json", text);
    return regions::read_boxes(folder_ / "boxes.json", *opened_.images);
  }
  std::string failure(const std::string& text) const {
    try {
      json(text);
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  const test::TemporaryFolder folder_;
  data::OpenedData opened_;
};

}  // namespace

TEST_F(BoxFile, IsAListOrAnObjectByNameOrATensor) {
  const std::vector<Box> expected{{1, 2, 11, 9}, {}};
  EXPECT_EQ(json("[[1, 2, 11, 9], null]"), expected);
  EXPECT_EQ(json(R"({"a.png": [1, 2, 11, 9]})"), expected);
  EXPECT_EQ(json(R"({"cat/a.png": [1, 2, 11, 9]})"), expected);
  tensors::TensorFile file;
  file.tensors["boxes"] = at::tensor({1, 2, 11, 9, 0, 0, 0, 0}, at::kInt).view({2, 4});
  tensors::write_tensors(folder_ / "boxes.safetensors", file);
  EXPECT_EQ(regions::read_boxes(folder_ / "boxes.safetensors", *opened_.images), expected);
}

TEST_F(BoxFile, MistakesAreNamedInOneLine) {
  EXPECT_THAT(failure("[[1, 2, 21, 9], null]"),
              HasSubstr("a.png, 1 2 21 9, reaches outside of the picture of 20 x 10"));
  EXPECT_THAT(failure("[[-1, 2, 11, 9], null]"), HasSubstr("reaches outside"));
  EXPECT_THAT(failure("[[11, 2, 1, 9], null]"), HasSubstr("has no area: expected left < right"));
  EXPECT_THAT(failure("[[1, 2, 11], null]"), HasSubstr("box 0: expected [left, top, right, bottom] or null"));
  EXPECT_THAT(failure("[[1, 2, 11, 9]]"), HasSubstr("expected one box for each of 2 images, got 1"));
  EXPECT_THAT(failure(R"({"dog/a.png": [1, 2, 11, 9]})"), HasSubstr("dog/a.png, which is no image of the data set"));
  EXPECT_THAT(failure("{"), HasSubstr("not JSON"));
  EXPECT_THAT(failure("3"), HasSubstr("expected a list of boxes"));
  EXPECT_THROW(regions::read_boxes(folder_ / "none.json", *opened_.images), Error);
  EXPECT_THROW(regions::read_boxes(folder_ / "photos" / "cat" / "a.png", *opened_.images), Error);
  EXPECT_THAT(failure(R"({"a.png": [1, 2, 11, 9], "a.png": null})"), HasSubstr("has two boxes of a.png"));
  EXPECT_THAT(failure(R"({"a.png": [1, 2, 11, 9], "cat/a.png": null})"), HasSubstr(", one called cat/a.png"));
}

TEST_F(BoxFile, ImagesWithoutABoxAreRefusedOrToldNothingOrEverything) {
  auto boxes = regions::in_center_crops({{0, 0, 4, 10}, {0, 0, 5, 5}}, *opened_.images, 10);
  EXPECT_TRUE(boxes[0].empty()) << "its box is cut off";
  EXPECT_EQ(boxes[1], (Box{0, 0, 5, 5}));
  try {
    regions::settle_missing(boxes, Missing::kRefuse, 10, *opened_.images, "boxes.json");
    ADD_FAILURE() << "was not refused";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a.png has no box"));
    EXPECT_THAT(error.what(), HasSubstr("1 of 2 images"));
  }
  auto whole = boxes;
  regions::settle_missing(whole, Missing::kWhole, 10, *opened_.images, "");
  EXPECT_EQ(whole[0], (Box{0, 0, 10, 10}));
  regions::settle_missing(boxes, Missing::kEmpty, 10, *opened_.images, "");
  EXPECT_TRUE(boxes[0].empty());
}
