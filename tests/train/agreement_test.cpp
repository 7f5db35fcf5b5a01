#include "sdg/train/agreement.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"

using namespace sdg;
using train::Agreement;

namespace {
std::vector<int64_t> images(int64_t count) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < count; ++i) out.push_back(i);
  return out;
}
}  // namespace

TEST(Agreement, IsUnknownUntilTheDataSetWasSeenTwice) {
  Agreement agreement(10, 1);
  agreement.see(images(10), at::zeros({10}, at::kLong));
  EXPECT_LT(agreement.value(), 0);
  agreement.see(images(9), at::zeros({9}, at::kLong));
  EXPECT_LT(agreement.value(), 0);
  agreement.see({9}, at::zeros({1}, at::kLong));
  EXPECT_DOUBLE_EQ(agreement.value(), 1);
}

TEST(Agreement, IsTheShareThatKeptItsCluster) {
  Agreement agreement(8, 1);
  auto ids = at::zeros({8}, at::kLong);
  agreement.see(images(8), ids);
  ids.slice(0, 0, 2).fill_(3);  // two of eight move
  agreement.see(images(8), ids);
  EXPECT_DOUBLE_EQ(agreement.value(), 0.75);
}

TEST(Agreement, CountsEachPatchOfAMap) {
  Agreement agreement(2, 4);
  agreement.see(images(2), at::zeros({2, 4}, at::kLong));
  agreement.see(images(2), at::tensor({0, 0, 0, 1, 0, 1, 1, 1}, at::kLong).view({2, 4}));
  EXPECT_DOUBLE_EQ(agreement.value(), 0.5);
  EXPECT_THROW(agreement.see({0}, at::zeros({1, 3}, at::kLong)), Error);
}

TEST(Agreement, ForgetsWhatWasLongAgo) {
  Agreement agreement(10, 1);
  for (int64_t pass = 0; pass < 20; ++pass) agreement.see(images(10), at::full({10}, pass, at::kLong));  // flickers
  EXPECT_NEAR(agreement.value(), 0, 1e-12);
  for (int64_t pass = 0; pass < 20; ++pass) agreement.see(images(10), at::zeros({10}, at::kLong));
  EXPECT_GT(agreement.value(), 0.99);
}

TEST(Agreement, GoesOnFromWhatWasStored) {
  Agreement whole(6, 1), restored(6, 1);
  whole.see(images(6), at::arange(6));
  restored.restore(whole.memory().clone(), whole.figures());
  whole.see(images(6), at::zeros({6}, at::kLong));
  restored.see(images(6), at::zeros({6}, at::kLong));
  EXPECT_EQ(whole.value(), restored.value());
  EXPECT_NEAR(whole.value(), 1.0 / 6, 1e-12);
}

TEST(Agreement, LeavesImagesBeyondItsMemoryOut) {
  Agreement agreement(Agreement::kRemembered + 5, 1);
  EXPECT_EQ(agreement.memory().size(0), Agreement::kRemembered);
  agreement.see({Agreement::kRemembered + 1}, at::zeros({1}, at::kLong));
  EXPECT_EQ(agreement.memory().ge(0).sum().item<int64_t>(), 0);
}
