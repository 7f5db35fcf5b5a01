#include "sdg/data/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/permutation.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {

std::vector<int64_t> epoch_of(data::EpochOrder& order, int64_t size, int64_t epoch) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < size; ++i) out.push_back(order.image_of(epoch * size + i));
  return out;
}

}  // namespace

TEST(Order, SmallSetsKeepTheSortedOrderOfEveryRunBefore) {
  EXPECT_EQ(data::order_kind(1), data::OrderKind::kSorted);
  EXPECT_EQ(data::order_kind(65536), data::OrderKind::kSorted);
  data::EpochOrder order(7, 1797);
  for (const int64_t epoch : {0, 1, 5}) {
    EXPECT_EQ(epoch_of(order, 1797, epoch),
              rng::permutation({7, rng::Purpose::kOrder, static_cast<uint64_t>(epoch)}, 1797));
  }
}

TEST(Order, LargeSetsNeedNoTable) {
  constexpr int64_t kSize = 65537;
  EXPECT_EQ(data::order_kind(kSize), data::OrderKind::kFeistel);
  data::EpochOrder order(7, kSize);
  const rng::Permutation expected({7, rng::Purpose::kOrder, 3}, kSize);
  for (const int64_t i : {0, 1, 40000, 65536}) EXPECT_EQ(order.image_of(3 * kSize + i), expected(i));
  data::EpochOrder huge(7, int64_t{1} << 40);
  EXPECT_LT(huge.image_of((int64_t{1} << 45) + 12345), int64_t{1} << 40);
}

TEST(Order, ARunMayKeepTheOneItBeganWith) {
  constexpr int64_t kSize = 65537;
  data::EpochOrder order(7, kSize, data::OrderKind::kSorted);
  EXPECT_EQ(epoch_of(order, kSize, 1), rng::permutation({7, rng::Purpose::kOrder, 1}, kSize));
}

TEST(Order, KindsHaveNames) {
  for (const auto kind : {data::OrderKind::kSorted, data::OrderKind::kFeistel})
    EXPECT_EQ(data::parse_order_kind(std::string(config::name(kind)), "x"), kind);
  EXPECT_THROW(data::parse_order_kind("random", "x"), Error);
}
