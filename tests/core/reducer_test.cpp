#include "sdg/core/reducer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/types.h>

#include <cmath>
#include <limits>

#include "sdg/core/rng.h"
#include "support/temporary_folder.h"
#include "support/thread_reducer.h"

using namespace sdg;
using test::on_divisions;
using test::on_ranks;
using test::share;

namespace {
Tensor noise(int64_t rows, int64_t width) {
  return rng::normal({8}, rng::consecutive(0, rows), {width}).to(at::kDouble);
}
double distance(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}
constexpr double kNothing = -std::numeric_limits<double>::infinity();
}  // namespace

TEST(Reducer, OfOneRankGivesBackTheVeryTensor) {
  auto& local = Reducer::local();
  EXPECT_EQ(local.rank(), 0);
  EXPECT_EQ(local.ranks(), 1);
  const auto x = noise(3, 2);
  EXPECT_TRUE(local.all_reduce(x).is_same(x));
  EXPECT_TRUE(local.all_gather(x).is_same(x));
  EXPECT_TRUE(local.broadcast(x).is_same(x));
  EXPECT_TRUE(sum_over_ranks(x, local).is_same(x));
  EXPECT_TRUE(log_sum_over_ranks(x, local).is_same(x));
  EXPECT_EQ(local.sum(0.1), 0.1);
}

TEST(Reducer, SumsAndMaximaOverRanksAreInPlace) {
  on_ranks(3, [](Reducer& reducer) {
    const auto rank = static_cast<double>(reducer.rank());
    auto values = at::tensor({rank, 10 - rank}, at::kDouble);
    auto column = at::zeros({2, 2}, at::kLong);
    EXPECT_TRUE(reducer.all_reduce(values).is_same(values));
    EXPECT_TRUE(at::equal(values, at::tensor({3.0, 27.0}, at::kDouble))) << values;
    column.select(1, 1).fill_(reducer.rank());
    reducer.all_reduce(column.select(1, 1), Reducer::Op::kMax);  // not contiguous
    EXPECT_TRUE(at::equal(column, at::tensor({0, 2, 0, 2}, at::kLong).view({2, 2}))) << column;
    EXPECT_EQ(reducer.sum(int64_t{5}), 15);
    EXPECT_EQ(reducer.max(-rank), 0);
  });
}

TEST(Reducer, GathersRowsInTheOrderOfTheRanks) {
  const auto all = noise(11, 3);
  on_divisions(11, [&](Reducer& reducer, const auto& division) {
    EXPECT_TRUE(at::equal(reducer.all_gather(share(all, division, reducer)), all));
  });
}

TEST(Reducer, BroadcastGivesAllTheRootsValues) {
  on_ranks(3, [](Reducer& reducer) {
    auto values = at::full({2}, static_cast<float>(reducer.rank()));
    reducer.broadcast(values, 1);
    EXPECT_TRUE(at::equal(values, at::ones({2})));
    EXPECT_THROW(reducer.broadcast(values, 3), Error);
  });
}

TEST(Reducer, RefusesWhatItDoesNotCarry) {
  auto& local = Reducer::local();  // so that a program of one rank finds the mistake too
  EXPECT_THROW(local.all_reduce(at::zeros({2}, at::kHalf)), Error);
  EXPECT_THROW(local.all_gather(at::zeros({2}, at::kBool)), Error);
  EXPECT_THROW(local.all_gather(at::zeros({})), Error);
  EXPECT_THROW(local.broadcast(Tensor()), Error);
  EXPECT_THAT(test::message_of<Error>([&] { local.all_reduce(at::zeros({2}).requires_grad_()); }),
              testing::HasSubstr("sum_over_ranks"));
}

TEST(ThreadReducer, ARankThatThrowsLeavesNobodyWaiting) {
  const auto run = [](int64_t bad) {
    on_ranks(4, [&](Reducer& reducer) {
      if (reducer.rank() == bad) throw UsageError("no data");
      reducer.all_reduce(at::zeros({1}));
    });
  };
  for (int64_t bad = 0; bad < 4; ++bad) EXPECT_EQ(test::message_of<UsageError>([&] { run(bad); }), "no data");
}

TEST(ThreadReducer, RanksThatDoNotMakeTheSameCallsThrow) {
  const auto message = [](const std::function<void(Reducer&)>& work) {
    return test::message_of<Error>([&] { on_ranks(2, work); });
  };
  EXPECT_THAT(message([](Reducer& reducer) {
                if (reducer.rank() == 0) reducer.all_reduce(at::zeros({1}));
              }),
              testing::HasSubstr("rank 1 has ended"));
  EXPECT_THAT(message([](Reducer& reducer) { reducer.all_reduce(at::zeros({1 + reducer.rank()})); }),
              testing::HasSubstr("while others are at"));
  EXPECT_THAT(message([](Reducer& reducer) {
                if (reducer.rank() == 0) {
                  reducer.all_reduce(at::zeros({1}));
                } else {
                  reducer.broadcast(at::zeros({1}));
                }
              }),
              testing::HasSubstr("while others are at"));
}

// Each rank's loss is its part of sum_i w_i . s with s = sum over all rows of tanh(x).
TEST(SumOverRanks, HasTheGradientOfTheWholeBatch) {
  const auto x = noise(10, 3), w = noise(10, 3) + 1;
  const auto gradient = [](const Tensor& own, const Tensor& weights, Reducer& reducer) {
    const auto leaf = own.clone().requires_grad_();
    const auto loss = (weights * sum_over_ranks(leaf.tanh().sum(0), reducer)).sum();
    return torch::autograd::grad({loss}, {leaf})[0];
  };
  const auto expected = w.sum(0) * (1 - x.tanh().square());  // by hand
  on_divisions(10, [&](Reducer& reducer, const auto& division) {
    const auto own = gradient(share(x, division, reducer), share(w, division, reducer), reducer);
    EXPECT_LT(distance(reducer.all_gather(own), expected), 1e-13) << reducer.ranks();
  });
}

TEST(PartOfMean, PartsAndTheirGradientsAddUpToTheMean) {
  const auto x = noise(10, 1).select(1, 0);
  on_divisions(10, [&](Reducer& reducer, const auto& division) {
    const auto own = share(x, division, reducer).clone().requires_grad_();
    const auto part = part_of_mean(own, reducer);
    EXPECT_NEAR(reducer.sum(part.template item<double>()), x.mean().template item<double>(), 1e-15);
    const auto gradient = torch::autograd::grad({part}, {own})[0];
    EXPECT_LT(distance(reducer.all_gather(gradient), at::full({10}, 0.1, at::kDouble)), 1e-16);
  });
}

TEST(LogSumOverRanks, TakesLargeNumbersAndNothing) {
  on_ranks(3, [](Reducer& reducer) {
    const auto x =
        at::stack({at::tensor({1e4, 3.0, kNothing}, at::kDouble), at::tensor({1e4, kNothing, kNothing}, at::kDouble),
                   at::tensor({-1e4, 3.0, kNothing}, at::kDouble)})[reducer.rank()];
    const auto sum = log_sum_over_ranks(x, reducer);
    EXPECT_DOUBLE_EQ(sum[0].item<double>(), 1e4 + std::log(2));
    EXPECT_DOUBLE_EQ(sum[1].item<double>(), 3 + std::log(2));
    EXPECT_EQ(sum[2].item<double>(), kNothing);
  });
}

TEST(AllGatherTexts, KeepsOrderAndBytes) {
  on_ranks(3, [](Reducer& reducer) {
    const std::vector<std::string> all{"32x32", "", "ß\x01"};
    EXPECT_EQ(all_gather_texts(all[static_cast<size_t>(reducer.rank())], reducer), all);
  });
}

TEST(Shares, OfAllRanksAreTheWholeOnceEach) {
  for (const int64_t count : {0, 1, 5, 8}) {
    for (const int64_t ranks : {1, 2, 3, 4}) {
      on_ranks(ranks, [&](Reducer& reducer) {
        const auto range = own_rows(count, reducer);
        const auto all = reducer.all_gather(at::arange(range.begin, range.end, at::kLong));
        EXPECT_TRUE(at::equal(all, at::arange(count, at::kLong)));
        EXPECT_LE(range.size(), (count + ranks - 1) / ranks);
      });
    }
  }
}

TEST(Reducer, GivesEachRankItsPieces) {
  // Rank r sends r + s numbers to rank s: 100 r + s.
  on_ranks(3, [](Reducer& reducer) {
    const auto rank = reducer.rank();
    std::vector<Tensor> sent, expected;
    std::vector<int64_t> to, from;
    for (int64_t other = 0; other < 3; ++other) {
      to.push_back(rank + other);
      from.push_back(rank + other);
      sent.push_back(at::full({rank + other}, static_cast<float>(100 * rank + other)));
      expected.push_back(at::full({rank + other}, static_cast<float>(100 * other + rank)));
    }
    EXPECT_TRUE(at::equal(reducer.all_to_all(at::cat(sent), to, from), at::cat(expected)));
  });
  const auto x = at::ones({4});
  EXPECT_TRUE(Reducer::local().all_to_all(x, {4}, {4}).is_same(x));
  EXPECT_THROW(Reducer::local().all_to_all(x, {3}, {3}), Error);
}

TEST(Reducer, GathersTensorsOfOneShapeAsRows) {
  on_ranks(3, [](Reducer& reducer) {
    const auto own = at::full({2}, static_cast<float>(reducer.rank()));
    EXPECT_TRUE(at::equal(reducer.all_gather_alike(own), at::arange(3, at::kFloat).unsqueeze(1).expand({3, 2})));
  });
  EXPECT_TRUE(at::equal(Reducer::local().all_gather_alike(at::ones({2})), at::ones({1, 2})));
}

TEST(Reducer, TakesCountsThatAllKnow) {
  on_ranks(2, [](Reducer& reducer) {
    const auto rows = at::full({reducer.rank() * 2}, static_cast<float>(reducer.rank()));
    EXPECT_TRUE(at::equal(reducer.all_gather(rows, {0, 2}), at::ones({2})));
  });
  EXPECT_THROW(Reducer::local().all_gather(at::ones({2}), {3}), Error);
}

TEST(Reducer, TheFirstRanksWorkIsDoneOnceAndItsFailureIsEveryones) {
  on_ranks(3, [](Reducer& reducer) {
    int64_t done = 0;
    reducer.first_alone([&] { ++done; });
    EXPECT_EQ(done, reducer.rank() == 0 ? 1 : 0);
    EXPECT_EQ(test::message_of<Error>([&] { reducer.first_alone([] { throw Error("the disk is full"); }); }),
              "the disk is full");
  });
}
