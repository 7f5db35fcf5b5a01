#include "sdg/core/unit_rows.h"

#include <gtest/gtest.h>

#include "sdg/core/rng.h"

using namespace sdg;

TEST(UnitRows, AreTheSameAtAnyScale) {
  const auto rows = rng::normal({3}, rng::consecutive(0, 5), {7});
  const auto expected = rows.to(at::kDouble) / rows.to(at::kDouble).norm(2, {-1}, true);
  for (const double scale : {1.0, 1e-30, 1e-13, 1e10, 1e19, 1e25, 3e37}) {
    const auto found = unit_rows(rows * scale);
    EXPECT_LT((found.to(at::kDouble) - expected).abs().max().item<double>(), 1e-6) << scale;
  }
}

TEST(UnitRows, AreTheRowsOverTheirLengthWhereThatFits) {
  const auto rows = rng::normal({4}, rng::consecutive(0, 50), {9});
  EXPECT_TRUE(at::equal(unit_rows(rows), rows / rows.norm(2, {-1}, true)));
}

TEST(UnitRows, OfZerosStay) {
  EXPECT_TRUE(at::equal(unit_rows(at::zeros({2, 3})), at::zeros({2, 3})));
}
