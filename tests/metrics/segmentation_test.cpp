#include "sdg/metrics/segmentation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;
using metrics::SegmentationScorer;

namespace {

Tensor numbers(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

// The best one-to-one matching by trying all of them; clusters and classes few.
double best_accuracy(const Tensor& predicted, const Tensor& truth, int64_t clusters, int64_t classes) {
  std::vector<int64_t> order(static_cast<size_t>(std::max(clusters, classes)));
  std::iota(order.begin(), order.end(), 0);
  double best = 0;
  do {
    int64_t right = 0;
    for (int64_t i = 0; i < truth.numel(); ++i)
      right += order[static_cast<size_t>(predicted[i].item<int64_t>())] == truth[i].item<int64_t>();
    best = std::max(best, static_cast<double>(right) / static_cast<double>(truth.numel()));
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

}  // namespace

TEST(Segmentation, IsPerfectForMasksUnderOtherNames) {
  SegmentationScorer scorer(3, 3);
  scorer.add(numbers({2, 2, 0, 0, 1}), numbers({0, 0, 1, 1, 2}));
  const auto scores = scorer.scores();
  EXPECT_DOUBLE_EQ(scores.miou, 1);
  EXPECT_DOUBLE_EQ(scores.accuracy, 1);
  EXPECT_DOUBLE_EQ(scores.miou_majority, 1);
}

// Class 0: pixels 0-3, of which cluster 0 has 3 and one more outside: 3 / (4 + 4 - 3). Class 1: 1 / ... by hand.
TEST(Segmentation, IsIntersectionOverUnionByHand) {
  SegmentationScorer scorer(2, 2);
  scorer.add(numbers({0, 0, 0, 1, 0, 1}), numbers({0, 0, 0, 0, 1, 1}));
  const auto scores = scorer.scores();
  ASSERT_EQ(scores.iou.size(), 2U);
  EXPECT_DOUBLE_EQ(scores.iou[0], 3.0 / 5);
  EXPECT_DOUBLE_EQ(scores.iou[1], 1.0 / 3);
  EXPECT_DOUBLE_EQ(scores.miou, (3.0 / 5 + 1.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(scores.accuracy, 4.0 / 6);
}

TEST(Segmentation, MoreClustersThanClassesShareAClassOnlyByMajority) {
  SegmentationScorer scorer(4, 2);
  scorer.add(numbers({0, 0, 1, 2, 2, 3}), numbers({0, 0, 0, 1, 1, 1}));
  const auto scores = scorer.scores();
  EXPECT_DOUBLE_EQ(scores.miou_majority, 1);
  EXPECT_DOUBLE_EQ(scores.accuracy_majority, 1);
  EXPECT_DOUBLE_EQ(scores.miou, 2.0 / 3);  // one of two clusters each
  EXPECT_DOUBLE_EQ(scores.accuracy, 4.0 / 6);
}

// By hand: class 0 has 4 pixels of which one has no cluster; class 1 has 2, all named.
TEST(Segmentation, CountsAPixelWithoutAClusterAgainstItsClass) {
  SegmentationScorer scorer(2, 2);
  scorer.add(numbers({0, 0, 0, -1, 1, 1}), numbers({0, 0, 0, 0, 1, 1}));
  const auto scores = scorer.scores();
  EXPECT_EQ(scores.pixels, 6);
  EXPECT_DOUBLE_EQ(scores.iou[0], 0.75);
  EXPECT_DOUBLE_EQ(scores.miou, (0.75 + 1) / 2);
  EXPECT_DOUBLE_EQ(scores.accuracy, 5.0 / 6);
  EXPECT_DOUBLE_EQ(scores.miou_majority, scores.miou);
  SegmentationScorer empty(2, 2);
  empty.add(numbers({-1, -1}), numbers({0, 1}));
  EXPECT_DOUBLE_EQ(empty.scores().miou, 0);
}

TEST(Segmentation, LeavesIgnoredPixelsAndAbsentClassesOut) {
  SegmentationScorer scorer(2, 3);
  scorer.add(numbers({0, 1, 1, 0}).view({2, 2}), at::tensor({0, 1, 255, 255}, at::kByte).view({2, 2}));
  const auto scores = scorer.scores();
  EXPECT_EQ(scores.pixels, 2);
  EXPECT_DOUBLE_EQ(scores.miou, 1);
  EXPECT_EQ(scores.iou[2], -1);
}

TEST(Segmentation, MatchesOneToOneAsWellAsAnyMatching) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const auto draw = rng::uniform({seed, rng::Purpose::kTest, 0}, {0, 1}, {40});
    const auto truth = (draw[0] * 3).to(at::kLong);
    const auto predicted = at::where(draw[1] < 0.5, (truth + 1) % 4, (draw[1] * 4).to(at::kLong));
    SegmentationScorer scorer(4, 3);
    scorer.add(predicted, truth);
    EXPECT_NEAR(scorer.scores().accuracy, best_accuracy(predicted, truth, 4, 3), 1e-12) << seed;
  }
}

TEST(Segmentation, AddsUpOverImages) {
  const auto predicted = numbers({0, 1, 1, 0, 1, 0}), truth = numbers({0, 1, 0, 0, 1, 1});
  SegmentationScorer whole(2, 2), parts(2, 2);
  whole.add(predicted, truth);
  parts.add(predicted.slice(0, 0, 2), truth.slice(0, 0, 2));
  parts.add(predicted.slice(0, 2), truth.slice(0, 2));
  EXPECT_EQ(whole.scores().miou, parts.scores().miou);
}

TEST(Segmentation, RefusesWhatItCannotScore) {
  SegmentationScorer scorer(2, 2);
  EXPECT_THROW(scorer.scores(), Error);
  EXPECT_THROW(scorer.add(numbers({0}), numbers({2})), Error);
  EXPECT_THROW(scorer.add(numbers({2}), numbers({0})), Error);
  EXPECT_THROW(scorer.add(numbers({0, 1}), numbers({0})), Error);
}
