#include "sdg/learn/ordered_sum.h"

#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include <algorithm>
#include <random>
#include <thread>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {

constexpr int64_t kShards = 7;

struct Sum {
  Sum() : layer(3, 5) {
    flat.add("", *layer);
    flat.build();
    for (int64_t shard = 0; shard < kShards; ++shard) {
      const auto values = rng::normal({shard + 1ULL, rng::Purpose::kTest, 0}, {0}, {20})[0] * 1e3F;
      losses.push_back(values[0].item<double>());
      gradients.push_back({values.slice(0, 0, 15).view({5, 3}).clone(), values.slice(0, 15).clone()});
    }
  }
  // One after the other, as a loop would.
  Tensor expected() const {
    Tensor total;
    for (const auto& shard : gradients) {
      const auto one = at::cat({shard[0].flatten(), shard[1].flatten()});
      total = total.defined() ? total + one : one;
    }
    return total;
  }

  torch::nn::Linear layer;
  network::FlatParameters flat;
  std::vector<double> losses;
  std::vector<std::vector<Tensor>> gradients;
};

}  // namespace

TEST(OrderedSum, HasTheBitsOfTheShardsOrderWhicheverComesFirst) {
  Sum data;
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
  Sum data;
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
  Sum data;
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
  Sum data;
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
