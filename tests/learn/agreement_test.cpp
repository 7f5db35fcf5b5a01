#include "sdg/learn/agreement.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "support/thread_reducer.h"

using namespace sdg;
using learn::Agreement;

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

TEST(Agreement, CountsAnImageOnceAStep) {
  Agreement agreement(4, 1);
  const std::vector<int64_t> thrice{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3};
  agreement.see(thrice, at::zeros({12}, at::kLong));
  EXPECT_LT(agreement.value(), 0) << "seen thrice, but in one step";
  agreement.see({0, 0, 0, 0, 0}, at::zeros({5}, at::kLong));
  EXPECT_LT(agreement.value(), 0) << "one image of four";
  agreement.see({1, 2, 3}, at::tensor({0, 0, 1}, at::kLong));
  EXPECT_GT(agreement.value(), 0.5);
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

TEST(Agreement, RemembersImagesOfAllPartsOfALargeDataSet) {
  const int64_t total = 10 * Agreement::kRemembered + 3;
  Agreement agreement(total, 1);
  EXPECT_LE(agreement.memory().size(0), Agreement::kRemembered);
  EXPECT_GT(agreement.memory().size(0), Agreement::kRemembered / 2);
  const auto all = images(total);
  agreement.see(all, at::arange(total));
  const auto memory = agreement.memory().flatten();
  EXPECT_TRUE(memory.ge(0).all().item<bool>());
  EXPECT_GT(memory[-1].item<int64_t>(), total - 20);  // the last part, too
  agreement.see(all, at::arange(total));
  EXPECT_DOUBLE_EQ(agreement.value(), 1);
}

TEST(Agreement, OverRanksIsThatOfTheWholeBatch) {
  constexpr int64_t kImages = 30, kBatch = 9, kPatches = 2;
  const auto index_of = [](int64_t step) {  // some images twice in a batch, across ranks
    return (at::arange(kBatch, at::kLong) * 7 + step) % 8;
  };
  const auto ids_of = [](int64_t step) {
    return rng::uniform({1, rng::Purpose::kTest, static_cast<uint64_t>(step)}, rng::consecutive(0, kBatch), {kPatches})
        .mul(2)
        .to(at::kLong);
  };
  const auto list = [](const Tensor& index) {
    const auto* first = index.const_data_ptr<int64_t>();
    return std::vector<int64_t>(first, first + index.numel());
  };
  Agreement one(kImages, kPatches);
  for (int64_t step = 0; step < 12; ++step) one.see(list(index_of(step)), ids_of(step));
  ASSERT_GT(one.value(), 0);
  test::on_divisions(kBatch, [&](Reducer& reducer, const auto& division) {
    Agreement ranked(kImages, kPatches);
    for (int64_t step = 0; step < 12; ++step) {
      ranked.see(list(test::share(index_of(step), division, reducer)), test::share(ids_of(step), division, reducer),
                 reducer);
    }
    EXPECT_EQ(ranked.value(), one.value());
    EXPECT_TRUE(at::equal(ranked.memory(), one.memory()));
    EXPECT_TRUE(at::equal(ranked.figures(), one.figures()));
  });
}
