#include "sdg/metrics/hungarian.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {
// Every permutation of the columns, the slow way; rows <= columns.
double cheapest(const Tensor& cost) {
  std::vector<int64_t> columns(cost.size(1));
  std::iota(columns.begin(), columns.end(), 0);
  double best = std::numeric_limits<double>::infinity();
  do {
    double total = 0;
    for (int64_t i = 0; i < cost.size(0); ++i) total += cost[i][columns[i]].item<double>();
    best = std::min(best, total);
  } while (std::next_permutation(columns.begin(), columns.end()));
  return best;
}

double cost_of(const Tensor& cost, const std::vector<int64_t>& column_of) {
  double total = 0;
  std::set<int64_t> used;
  for (size_t i = 0; i < column_of.size(); ++i) {
    if (column_of[i] < 0) continue;
    EXPECT_TRUE(used.insert(column_of[i]).second) << "column " << column_of[i] << " is given twice";
    total += cost[static_cast<int64_t>(i)][column_of[i]].item<double>();
  }
  EXPECT_EQ(static_cast<int64_t>(used.size()), std::min(cost.size(0), cost.size(1)));
  return total;
}
}  // namespace

TEST(Hungarian, IsAsCheapAsTheBestOfAllPermutations) {
  const std::vector<std::pair<int64_t, int64_t>> shapes = {{1, 1}, {1, 4}, {3, 3}, {3, 5},
                                                           {5, 5}, {6, 6}, {5, 3}, {4, 1}};
  for (uint64_t step = 0; step < shapes.size(); ++step) {
    const auto [rows, columns] = shapes[step];
    const Tensor cost =
        rng::normal({7, rng::Purpose::kTest, step}, rng::consecutive(0, rows), {columns}).to(at::kDouble);
    const Tensor wide = rows <= columns ? cost : cost.t();
    EXPECT_NEAR(cost_of(cost, min_cost_assignment(cost)), cheapest(wide), 1e-9) << rows << " x " << columns;
  }
}

TEST(Hungarian, TiesOfWholeNumbersAreHandled) {
  const Tensor cost = at::tensor({4, 4, 4, 4, 4, 4, 4, 4, 3}, at::kDouble).view({3, 3});
  EXPECT_EQ(cost_of(cost, min_cost_assignment(cost)), 11);
}

TEST(Hungarian, RefusesInfiniteCosts) {
  EXPECT_THROW(min_cost_assignment(at::full({2, 2}, std::numeric_limits<double>::infinity())), Error);
}
}  // namespace sdg::metrics
