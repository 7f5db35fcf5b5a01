#include "sdg/core/block_pool.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <thread>

using namespace sdg;

namespace {

void work(int64_t width) {
  const auto x = at::ones({64, width}), y = at::matmul(x, x.t());
  ASSERT_EQ(y.sum().item<float>(), 64.0F * 64 * static_cast<float>(width));
}

}  // namespace

TEST(BlockPool, WorkThatRepeatsItselfTakesNothingAnew) {
  const BlockPool pool;
  work(100);
  const auto first = pool.taken();
  EXPECT_GT(first, 2);
  for (int i = 0; i < 20; ++i) work(100);
  EXPECT_EQ(pool.taken(), first);
  work(101);
  EXPECT_GT(pool.taken(), first) << "another size needs blocks of its own";
}

TEST(BlockPool, ABlockThatIsInUseIsNotGivenTwice) {
  const BlockPool pool;
  const auto a = at::full({1000}, 1.0), b = at::full({1000}, 2.0);
  EXPECT_NE(a.data_ptr(), b.data_ptr());
  const auto* before = at::full({1000}, 3.0).const_data_ptr();
  EXPECT_EQ(at::full({1000}, 4.0).const_data_ptr(), before) << "given up, and taken again";
  EXPECT_EQ(a.sum().item<float>() + b.sum().item<float>(), 3000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(before) % 64, 0U) << "aligned as LibTorch's own";
}

TEST(BlockPool, TensorsOutliveItAndMayEndOnOtherThreads) {
  at::Tensor kept, given;
  {
    const BlockPool pool;
    kept = at::arange(5000);
    given = at::arange(5000);
    std::thread([&given] {
      const BlockPool theirs;
      given.reset();
      given = at::arange(3000);
      EXPECT_EQ(theirs.taken(), 1);
    }).join();
  }
  EXPECT_EQ(kept.sum().item<int64_t>(), 4999 * 2500);
  EXPECT_EQ(given.sum().item<int64_t>(), 2999 * 1500);
}

TEST(BlockPool, WithinAnotherDoesNothingAndOutsideNothingIsPooled) {
  const BlockPool outer;
  {
    const BlockPool inner;
    work(10);
    EXPECT_EQ(inner.taken(), 0);
  }
  const auto first = outer.taken();
  EXPECT_GT(first, 0);
  work(10);
  EXPECT_EQ(outer.taken(), first);
  std::thread([&outer, first] {
    work(10);
    EXPECT_EQ(outer.taken(), first) << "other threads have nothing to do with it";
  }).join();
}

TEST(BlockPool, StorageGrowsAndShrinksInIt) {
  const BlockPool pool;
  auto x = at::arange(10, at::kFloat);
  x.resize_({100000});
  x.resize_({3});
  EXPECT_EQ(x.sum().item<float>(), 3);
  EXPECT_TRUE(at::equal(x.clone(), x));
}
