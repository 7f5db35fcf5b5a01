#include "sdg/core/shape.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"

TEST(CheckShape, AcceptsAnyExtentWhereAskedTo) {
  sdg::check_shape(at::zeros({2, 3}), {-1, 3}, "x");
}

TEST(CheckShape, SaysWhatWasExpectedAndWhatCame) {
  try {
    sdg::check_shape(at::zeros({64, 1}), {-1, 3}, "sinkhorn: scores");
    FAIL();
  } catch (const sdg::Error& error) {
    EXPECT_STREQ(error.what(), "sinkhorn: scores must be [*, 3], got [64, 1]");
  }
}
