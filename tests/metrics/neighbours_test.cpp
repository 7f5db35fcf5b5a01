#include "sdg/metrics/neighbours.h"

#include <gtest/gtest.h>

#include <limits>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {
Tensor drawn(uint64_t step, int64_t n, int64_t width) {
  return rng::normal({5, rng::Purpose::kTest, step}, rng::consecutive(0, n), {width});
}
}  // namespace

TEST(Neighbours, AreThoseOfTheWholeTableOfDistances) {
  const auto from = drawn(1, 700, 5), to = drawn(2, 4500, 5);  // several blocks either way
  const auto table = at::cdist(from.to(at::kDouble), to.to(at::kDouble), 2, /*compute_mode=*/2);
  const auto [distances, places] = table.topk(4, 1, /*largest=*/false);
  const auto found = nearest(from, to, 4);
  EXPECT_LT((found.distances - distances).abs().max().item<double>(), 1e-12);
  EXPECT_TRUE(at::equal(found.places, places));
}

TEST(Neighbours, AreOthersWithinOneSet) {
  auto rows = drawn(3, 2500, 3);
  rows[2400].copy_(rows[7]);
  const auto found = nearest_others(rows, 2);
  auto table = at::cdist(rows.to(at::kDouble), rows.to(at::kDouble), 2, /*compute_mode=*/2);
  table.fill_diagonal_(std::numeric_limits<double>::infinity());
  EXPECT_LT((found.distances - std::get<0>(table.topk(2, 1, /*largest=*/false))).abs().max().item<double>(), 1e-12);
  EXPECT_EQ(found.places[7][0].item<int64_t>(), 2400);
  EXPECT_EQ(found.distances[7][0].item<double>(), 0);
}

TEST(Neighbours, ACopyFarFromZeroHasDistanceZero) {
  const auto to = drawn(4, 50, 8) + 1e4;
  const auto found = nearest(to.slice(0, 10, 12), to, 1);
  EXPECT_EQ(found.distances.abs().max().item<double>(), 0);
  EXPECT_EQ(found.places[1][0].item<int64_t>(), 11);
}

// Two heaps so far apart that float32 tells nothing of distances inside one, rows many times over, lengths beyond its
// range, and one row far from all others.
TEST(Neighbours, AreTheSameWhereSinglePrecisionDoesNotTell) {
  const auto apart = at::cat({drawn(6, 700, 40), drawn(7, 600, 40) + 1e5});
  const auto many = drawn(8, 60, 40).repeat({20, 1});
  auto outlier = drawn(9, 900, 40);
  outlier[123] *= 1e6;
  for (const auto& rows : {apart.to(at::kDouble), many.to(at::kDouble), drawn(6, 900, 40).to(at::kDouble) * 1e25,
                           drawn(6, 900, 40).to(at::kDouble) * 1e-25, outlier.to(at::kDouble)}) {
    auto table = at::cdist(rows, rows, 2, /*compute_mode=*/2);
    table.fill_diagonal_(std::numeric_limits<double>::infinity());
    const auto right = std::get<0>(table.topk(3, 1, /*largest=*/false));
    const auto found = nearest_others(rows, 3);
    const double scale = rows.slice(1, 0, 1).abs().median().item<double>();
    const auto apart_from = [&](const Tensor& distances) {
      return ((found.distances - distances).abs() / (right + scale)).max().item<double>();
    };
    EXPECT_LT(apart_from(right), 1e-9);
    EXPECT_LT(apart_from(table.gather(1, found.places)), 1e-9);
    EXPECT_TRUE((found.places != at::arange(rows.size(0)).unsqueeze(1)).all().item<bool>());
  }
}

TEST(Neighbours, SayWhatIsTooLittleOrNotFinite) {
  EXPECT_THROW(nearest(drawn(1, 3, 2), drawn(2, 3, 2), 4), Error);
  EXPECT_THROW(nearest_others(drawn(1, 3, 2), 3), Error);
  EXPECT_THROW(nearest(drawn(1, 3, 2), drawn(2, 3, 4), 1), Error);
  EXPECT_THROW(nearest(drawn(1, 3, 2) * std::numeric_limits<float>::quiet_NaN(), drawn(2, 3, 2), 1), Error);
}

}  // namespace sdg::metrics
