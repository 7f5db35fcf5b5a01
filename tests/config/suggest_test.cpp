#include "sdg/config/suggest.h"

#include <gtest/gtest.h>

namespace sdg::config {
namespace {

const std::vector<std::string> kNames = {"seed",      "train.steps",     "train.batch", "train.ema.decay",
                                         "data.path", "data.batch_size", "sample.steps"};

TEST(EditDistance, CountsInsertionsDeletionsReplacementsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("batch", "bacth"), 1);
  EXPECT_EQ(edit_distance("batch", "btch"), 1);
  EXPECT_EQ(edit_distance("batch", "battch"), 1);
  EXPECT_EQ(edit_distance("batch", "match"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(EditDistance, IsSymmetric) {
  for (const auto& a : kNames) {
    for (const auto& b : kNames) EXPECT_EQ(edit_distance(a, b), edit_distance(b, a));
  }
}

TEST(Closest, FindsATypoInAnyPart) {
  EXPECT_EQ(closest("train.bacth", kNames), "train.batch");
  EXPECT_EQ(closest("trian.steps", kNames), "train.steps");
  EXPECT_EQ(closest("train.ema.deacy", kNames), "train.ema.decay");
  EXPECT_EQ(closest("sede", kNames), "seed");
}

TEST(Closest, FindsTheSameNameInAnotherGroup) {
  EXPECT_EQ(closest("model.decay", kNames), "train.ema.decay");
  EXPECT_EQ(closest("decay", kNames), "train.ema.decay");
  EXPECT_EQ(closest("train.path", kNames), "data.path");
  EXPECT_EQ(closest("samples.steps", kNames), "sample.steps");
}

TEST(Closest, PrefersTheOwnGroup) {
  EXPECT_EQ(closest("sample.stesp", kNames), "sample.steps");
}

TEST(Closest, TakesATellingBeginningAndOtherSpellings) {
  EXPECT_EQ(closest("data.batch", {"data.batch_size"}), "data.batch_size");
  EXPECT_EQ(closest("data.Batch-Size", kNames), "data.batch_size");
}

TEST(Closest, SaysNothingWhereNothingIsNear) {
  EXPECT_EQ(closest("optimizer.momentum", kNames), "");
  EXPECT_EQ(closest("train.xy", kNames), "");
  EXPECT_EQ(closest("", kNames), "");
  EXPECT_EQ(closest("seed", {}), "");
  EXPECT_EQ(closest(std::string(5000, 'a'), {std::string(5000, 'a')}), "");
}

}  // namespace
}  // namespace sdg::config
