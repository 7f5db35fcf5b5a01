#include "sdg/io/digest.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

namespace sdg::io {
namespace {

TEST(Digest, EveryFlippedBitOfATensorChangesIt) {
  auto values = at::zeros({8}, at::kInt);
  const auto whole = Digest().tensor(values).hex();
  std::set<std::string> seen{whole};
  for (int64_t i = 0; i < 8; ++i) {
    for (int bit = 0; bit < 32; ++bit) {
      auto damaged = values.clone();
      damaged[i] = static_cast<int32_t>(1u << bit);
      seen.insert(Digest().tensor(damaged).hex());
    }
  }
  EXPECT_EQ(seen.size(), 1u + 8 * 32);
}

TEST(Digest, PiecesDoNotRunIntoEachOther) {
  EXPECT_NE(Digest().text("ab").text("c").hex(), Digest().text("a").text("bc").hex());
}

TEST(Digest, ATensorsTypeAndShapeCountItsStridesDoNot) {
  const auto values = at::arange(6, at::kFloat).view({2, 3});
  EXPECT_EQ(Digest().tensor(values.t().contiguous().t()).hex(), Digest().tensor(values).hex());
  EXPECT_NE(Digest().tensor(values.view({3, 2})).hex(), Digest().tensor(values).hex());
  EXPECT_NE(Digest().tensor(at::zeros({2}, at::kInt)).hex(), Digest().tensor(at::zeros({2}, at::kFloat)).hex());
}

}  // namespace
}  // namespace sdg::io
