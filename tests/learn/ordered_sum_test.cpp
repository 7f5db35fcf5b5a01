#include "sdg/learn/ordered_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>

#include "learn/seven_shards.h"
#include "sdg/core/error.h"

using namespace sdg;
using test::kShards;
using test::SevenShards;

TEST(OrderedSum, HasTheBitsOfTheShardsOrderWhicheverComesFirst) {
  SevenShards data(3, 5);
  const auto expected = data.expected();
  double loss = 0;
  for (const auto each : data.losses) loss += each;
  std::vector<int64_t> order{0, 1, 2, 3, 4, 5, 6};
  std::mt19937 shuffler(1);
  bool order_matters = false;
  for (int trial = 0; trial < 20; ++trial) {
    learn::OrderedSum sum;
    sum.begin(data.flat);
    Tensor as_they_come;
    for (const auto shard : order) {
      const auto& parts = data.gradients[static_cast<size_t>(shard)];
      sum.add(shard, data.losses[static_cast<size_t>(shard)], parts);
      const auto one = at::cat({parts[0].flatten(), parts[1].flatten()});
      as_they_come = as_they_come.defined() ? as_they_come + one : one;
    }
    const auto got = sum.take();
    EXPECT_TRUE(at::equal(got.gradient, expected));
    EXPECT_EQ(got.loss, loss);
    order_matters = order_matters || !at::equal(as_they_come, expected);
    std::shuffle(order.begin(), order.end(), shuffler);
  }
  EXPECT_TRUE(order_matters) << "tests nothing";
}

TEST(OrderedSum, TakesFromManyThreads) {
  SevenShards data(3, 5);
  for (int trial = 0; trial < 50; ++trial) {
    learn::OrderedSum sum;
    sum.begin(data.flat);
    std::vector<std::thread> threads;
    for (int64_t shard = kShards - 1; shard >= 0; --shard)
      threads.emplace_back([&, shard] { sum.add(shard, 0, data.gradients[static_cast<size_t>(shard)]); });
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(at::equal(sum.take().gradient, data.expected()));
  }
}

TEST(OrderedSum, HoldsNoGradientWhoseTurnHasCome) {
  SevenShards data(3, 5);
  learn::OrderedSum sum;
  sum.begin(data.flat);
  const auto holders = [&](size_t shard) { return data.gradients[shard][0].use_count(); };
  sum.add(0, 0, data.gradients[0]);
  EXPECT_EQ(holders(0), 1);
  sum.add(2, 0, data.gradients[2]);
  EXPECT_EQ(holders(2), 2) << "waits for shard 1";
  sum.add(1, 0, data.gradients[1]);
  EXPECT_EQ(holders(1), 1);
  EXPECT_EQ(holders(2), 1);
}

TEST(OrderedSum, CountsWhatIsMissingAsZeroAndMissesAShard) {
  SevenShards data(3, 5);
  learn::OrderedSum sum;
  sum.begin(data.flat);
  sum.add(0, 1, {Tensor(), data.gradients[0][1]});
  sum.add(1, 1, {data.gradients[1][0]});
  const auto got = sum.take().gradient;
  EXPECT_TRUE(at::equal(got.slice(0, 0, 15), data.gradients[1][0].flatten()));
  EXPECT_TRUE(at::equal(got.slice(0, 15), data.gradients[0][1]));
  sum.begin(data.flat);
  sum.add(1, 0, data.gradients[0]);
  EXPECT_THROW(sum.take(), Error);
}
