#include "sdg/evaluate/evaluate.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"

using namespace sdg;

namespace {

class Masks : public data::MaskSource {
 public:
  explicit Masks(Tensor masks) : masks_(std::move(masks)) {}
  Tensor mask(int64_t index) const override { return masks_[index]; }

 private:
  Tensor masks_;
};

}  // namespace

TEST(SegmentationScores, TakeEachPatchAsLargeAsItIsInTheImage) {
  // Two images of 2 x 2 patches of 3 x 3 pixels; the second one's mask is the only one asked for.
  const auto patches = at::tensor({0, 1, 1, 0}, at::kLong);
  const auto mask = patches.view({2, 2}).repeat_interleave(3, 0).repeat_interleave(3, 1).to(at::kByte);
  auto wrong = mask.clone();
  wrong.fill_(1);
  const Masks masks(at::stack({wrong, mask}));
  const auto scores = evaluate::segmentation_scores((1 - patches).view({1, 4}), {1}, 2, masks);
  ASSERT_TRUE(scores);
  EXPECT_DOUBLE_EQ(scores->miou, 1);
  EXPECT_EQ(scores->pixels, 36);

  auto shifted = mask.clone();
  shifted[0][0] = 1;  // one pixel of 36 in another class
  EXPECT_DOUBLE_EQ(evaluate::segmentation_scores(patches.view({1, 4}), {0}, 2, Masks(shifted.unsqueeze(0)))->accuracy,
                   35.0 / 36);
}

TEST(SegmentationScores, SeeTheMiddleSquareOfAMaskOfAnyShape) {
  // 2 x 2 patches over the middle 5 x 5 pixels of a mask of 5 x 9: rows and columns 0, 1, 2 are of the first patch.
  auto mask = at::full({5, 9}, 1, at::kByte);
  mask.narrow(1, 2, 3).slice(0, 0, 3).fill_(0);
  const auto map = at::tensor({0, 1, 1, 1}, at::kLong).view({1, 4});
  const auto scores = evaluate::segmentation_scores(map, {0}, 2, Masks(mask.unsqueeze(0)));
  ASSERT_TRUE(scores);
  EXPECT_EQ(scores->pixels, 25);
  EXPECT_DOUBLE_EQ(scores->miou, 1);
}

TEST(SegmentationScores, AreNoneWhereAllPixelsAreIgnored) {
  EXPECT_FALSE(
      evaluate::segmentation_scores(at::zeros({1, 4}, at::kLong), {0}, 2, Masks(at::full({1, 4, 4}, 255, at::kByte))));
}
