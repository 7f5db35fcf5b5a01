#include "sdg/learn/shard_exchange.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <thread>

#include "learn/seven_shards.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/learn/ordered_sum.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

using namespace sdg;
using learn::OfShards;
using test::SevenShards;

namespace {

// Ways to deal out seven shards: in turn, in blocks, unevenly.
const std::vector<OfShards> kWays{{{0, 2, 4, 6}, {1, 3, 5}},
                                  {{0, 3, 6}, {1, 4}, {2, 5}},
                                  {{0, 1, 2, 3}, {4, 5, 6}},
                                  {{0}, {1, 2, 3, 4, 5}, {6}},
                                  {{5, 6}, {0, 3}, {1}, {2, 4}}};

learn::StepShards step_of(const OfShards& numbers) {
  learn::StepShards out;
  out.numbers = numbers;
  return out;
}

}  // namespace

TEST(ShardExchange, HasTheBitsOfOneRankHoweverShardsAreDealtOut) {
  const SevenShards data(13, 50);
  const auto expected = data.expected();
  for (const auto& numbers : kWays) {
    const auto shards = step_of(numbers);
    test::on_ranks(static_cast<int64_t>(numbers.size()), [&](Reducer& reducer) {
      const learn::Slices slices({{0, 700}}, reducer);
      for (const bool whole : {false, true}) {
        learn::ShardExchange exchange(data.flat, slices, shards, reducer);
        const auto& own = numbers[static_cast<size_t>(reducer.rank())];
        for (int64_t k = 0; k < exchange.rounds(); ++k)
          exchange.round(k, exchange.has(k) ? data.gradients[static_cast<size_t>(own[static_cast<size_t>(k)])]
                                            : std::vector<Tensor>());
        const auto slice = slices.own();
        if (whole) {
          EXPECT_TRUE(at::equal(exchange.whole(), expected)) << reducer.ranks();
        } else {
          EXPECT_TRUE(at::equal(exchange.slice(), expected.slice(0, slice.begin, slice.end))) << reducer.ranks();
        }
      }
    });
  }
}

TEST(ShardExchange, CountsWhatIsMissingAsZero) {
  const SevenShards data(13, 50);
  test::on_ranks(2, [&](Reducer& reducer) {
    const auto shards = step_of({{0}, {1}});
    const learn::Slices slices({{0, 700}}, reducer);
    learn::ShardExchange exchange(data.flat, slices, shards, reducer);
    const auto rank = static_cast<size_t>(reducer.rank());
    exchange.round(0, reducer.rank() == 0 ? std::vector<Tensor>{data.gradients[rank][0]}
                                          : std::vector<Tensor>{Tensor(), data.gradients[rank][1]});
    const auto sum = exchange.whole();
    EXPECT_TRUE(at::equal(sum.slice(0, 0, 650), data.gradients[0][0].flatten()));
    EXPECT_TRUE(at::equal(sum.slice(0, 650), data.gradients[1][1]));
  });
}

// As a learner's threads do it: shards come in any order.
TEST(OrderedSum, OfRanksHandsShardsOutAsTheyCome) {
  auto config = test::tiny_config("unused", "none");
  config.train.batch = 12;
  for (const bool sharded : {false, true}) {
    config.train.shard_state = sharded;
    for (const auto when : {learn::OrderedSum::Exchange::kAsTheyCome, learn::OrderedSum::Exchange::kAtTheEnd}) {
      test::on_ranks(2, [&](Reducer& reducer) {
        learn::LearnerState state(config, at::kCPU, network::build_network(config, 0, at::kCPU),
                                  network::build_network(config, 0, at::kCPU), reducer);
        state.shards = step_of({{0, 2, 4}, {1, 3}});
        const auto size = state.flat.values().size(0);
        const auto gradient = [&](int64_t number) {
          return rng::normal({number + 1ULL, rng::Purpose::kTest, 0}, {0}, {size})[0];
        };
        auto expected = gradient(0);
        for (int64_t number = 1; number < 5; ++number) expected = expected + gradient(number);
        const auto& own = state.shards.numbers[static_cast<size_t>(reducer.rank())];
        learn::OrderedSum sum;
        for (int step = 0; step < 3; ++step) {
          sum.begin(state, when);
          std::vector<std::thread> threads;
          for (auto k = static_cast<int64_t>(own.size()) - 1; k >= 0; --k) {
            threads.emplace_back([&, k] {
              const auto flat = gradient(own[static_cast<size_t>(k)]);
              sum.add(k, static_cast<double>(own[static_cast<size_t>(k)]), state.flat.views(flat));
            });
          }
          for (auto& thread : threads) thread.join();
          const auto got = sum.take();
          EXPECT_EQ(got.loss, 10);
          const auto slice = state.stepped();
          EXPECT_TRUE(at::equal(got.gradient, expected.slice(0, slice.begin, slice.end))) << sharded;
        }
      });
    }
  }
}

// As a GPU's ranks do it: each adds up two micro-batches of its own, and the pass of the second is watched.
TEST(OrderedSum, OfRanksThatWatchTheLastPassHasTheBitsOfOneThatDoesNot) {
  auto config = test::tiny_config("unused");
  config.train.batch = 4;
  test::on_ranks(3, [&](Reducer& reducer) {
    learn::LearnerState state(config, at::kCPU, network::build_network(config, 0, at::kCPU),
                              network::build_network(config, 0, at::kCPU), reducer);
    ASSERT_FALSE(state.whole_shards) << "four images of two shards for three ranks";
    auto& parameters = state.model_parameters;
    ASSERT_GT(parameters.size(), 5U);
    const auto gradients_of = [&](uint64_t number) {
      Tensor loss = at::zeros({});
      for (size_t i = 0; i < parameters.size(); ++i) {
        const rng::Stream stream{number * 1000 + i, rng::Purpose::kTest, static_cast<uint64_t>(reducer.rank())};
        if (i != 1) loss = loss + (parameters[i] * rng::normal(stream, {0}, parameters[i].sizes())[0]).sum();
      }
      return torch::autograd::grad({loss}, parameters, {}, false, false, /*allow_unused=*/true);
    };
    const auto sum_of = [&](bool watched, bool two, learn::OrderedSum::Exchange when) {
      learn::OrderedSum sum;
      sum.begin(state, when);
      learn::Shard shard;
      shard.last = false;
      EXPECT_EQ(sum.watch(shard, parameters), nullptr);
      if (two) sum.add(0, 1, gradients_of(0));
      shard.number = two ? 1 : 0;
      shard.last = watched;
      std::vector<Tensor> gradients;
      {
        const auto hooks = sum.watch(shard, parameters);
        EXPECT_EQ(hooks != nullptr, watched && when == learn::OrderedSum::Exchange::kAsTheyCome);
        gradients = gradients_of(1);
      }
      sum.add(shard, 2, gradients);
      const auto out = sum.take();
      EXPECT_EQ(out.loss, two ? 9 : 6);
      return out.gradient;
    };
    for (const bool two : {false, true}) {
      const auto expected = sum_of(false, two, learn::OrderedSum::Exchange::kAtTheEnd);
      EXPECT_LT(state.model_size, expected.size(0)) << "tests no head";
      EXPECT_EQ(expected.slice(0, state.model_size).count_nonzero().item<int64_t>(), 0);
      for (int i = 0; i < 5; ++i)
        EXPECT_TRUE(at::equal(sum_of(true, two, learn::OrderedSum::Exchange::kAsTheyCome), expected)) << two;
      EXPECT_TRUE(at::equal(sum_of(true, two, learn::OrderedSum::Exchange::kAtTheEnd), expected)) << two;
    }
  });
}

TEST(OrderedSum, OfARankThatGivesUpEndsAndMayBeginAnew) {
  auto config = test::tiny_config("unused", "none");
  config.train.batch = 12;
  test::on_ranks(2, [&](Reducer& reducer) {
    learn::LearnerState state(config, at::kCPU, network::build_network(config, 0, at::kCPU),
                              network::build_network(config, 0, at::kCPU), reducer);
    state.shards = step_of({{0, 2}, {1, 3}});
    learn::OrderedSum sum;
    for (int i = 0; i < 3; ++i) {
      sum.begin(state, learn::OrderedSum::Exchange::kAsTheyCome);
      sum.add(0, 1, {});  // and never the second
    }
  });
}

TEST(Slices, BeginWhereTheOptimizersKernelWouldGroupNumbersToo) {
  test::on_ranks(4, [](Reducer& reducer) {
    const std::vector<RowRange> parts{{0, 7}, {7, 1000}, {1000, 1003}, {1003, 4000}};
    const learn::Slices slices(parts, reducer);
    int64_t end = 0;
    for (int64_t rank = 0; rank < 4; ++rank) {
      const auto slice = slices.of(rank);
      EXPECT_EQ(slice.begin, end);
      EXPECT_NEAR(static_cast<double>(slice.size()), 1000, 65);
      bool fits = false;
      for (const auto& part : parts)
        fits = fits || (slice.begin >= part.begin && slice.begin < part.end && (slice.begin - part.begin) % 64 == 0);
      EXPECT_TRUE(fits) << slice.begin;
      end = slice.end;
    }
    EXPECT_EQ(end, 4000);
  });
  test::on_ranks(3, [](Reducer& reducer) {  // too few numbers for all
    const learn::Slices slices({{0, 100}}, reducer);
    EXPECT_EQ(slices.of(0).size(), 0);
    EXPECT_EQ(slices.of(1).size() + slices.of(2).size(), 100);
    auto whole = at::zeros({100});
    const auto own = slices.own();
    learn::gather_slices(whole, at::arange(own.begin, own.end, at::kFloat), slices, reducer);
    EXPECT_TRUE(at::equal(whole, at::arange(100, at::kFloat)));
  });
}

TEST(Slices, AreGatheredOnTheFirstAlone) {
  test::on_ranks(3, [](Reducer& reducer) {
    const int64_t size = (1 << 21) + 1001;  // more than one piece a rank
    const learn::Slices slices({{0, size}}, reducer);
    const auto all = at::arange(size, at::kLong);
    const auto own = slices.own();
    const auto whole = learn::gather_on_first(all.slice(0, own.begin, own.end), slices, reducer);
    ASSERT_EQ(whole.defined(), reducer.rank() == 0);
    if (whole.defined()) EXPECT_TRUE(at::equal(whole, all));
  });
}

// Clipping divides by it: another rounding would be another training.
TEST(Slices, HaveTheNormOfTheWholeToTheBit) {
  for (const int64_t size : {5, 8, 100, 1003, 70001}) {
    const auto x = rng::normal({3, rng::Purpose::kTest, 0}, {0}, {size})[0];
    const auto norm = x.norm().item<double>();
    for (const int64_t ranks : {2, 3, 4}) {
      test::on_ranks(ranks, [&](Reducer& reducer) {
        const learn::Slices slices({{0, size / 3}, {size / 3, size}}, reducer);
        const auto own = slices.own();
        EXPECT_EQ(learn::norm_of_slices(x.slice(0, own.begin, own.end), slices, reducer), norm)
            << size << ", " << ranks;
      });
    }
  }
}

TEST(StepShards, AreNumberedByTheirFirstSamples) {
  test::on_ranks(2, [](Reducer& reducer) {
    const std::vector<std::vector<int64_t>> samples{{20, 21, 22, 26, 27}, {23, 24, 25}};
    const auto shards = learn::step_shards(samples[static_cast<size_t>(reducer.rank())], 3, reducer);
    EXPECT_EQ(shards.numbers, (OfShards{{0, 2}, {1}}));
    EXPECT_EQ(shards.sizes, (OfShards{{3, 2}, {3}}));
    EXPECT_EQ(shards.images, 8);
    const auto own = at::tensor(samples[static_cast<size_t>(reducer.rank())], at::kLong);
    EXPECT_TRUE(at::equal(learn::gather_in_order(own, shards.sizes, shards, reducer), at::arange(20, 28, at::kLong)));
    const std::vector<std::vector<int64_t>> counts{{4, 0}, {7}};
    EXPECT_EQ(learn::gather_counts(counts[static_cast<size_t>(reducer.rank())], shards, reducer), counts);
  });
}
