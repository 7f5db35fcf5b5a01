// Rows of several ranks, balanced together, get what one rank gives them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/cluster/collapse.h"
#include "sdg/cluster/sinkhorn.h"
#include "sdg/cluster/softmax_assignment.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "support/temporary_folder.h"
#include "support/thread_reducer.h"

using namespace sdg;
using test::on_divisions;
using test::on_ranks;
using test::share;

namespace {
Tensor cosines(int64_t samples, int64_t clusters) {
  return rng::uniform({3, rng::Purpose::kTest, 0}, rng::consecutive(0, samples), {clusters}) * 2 - 1;
}

// `assign` under every division of the rows; assignments within `tolerance` of one rank's, everything whole the same.
void expect_the_same(const Tensor& scores, double tolerance,
                     const std::function<cluster::SinkhornResult(const Tensor&, Reducer&)>& assign) {
  const auto one = assign(scores, Reducer::local());
  on_divisions(scores.size(0), [&](Reducer& reducer, const auto& division) {
    const auto own = assign(share(scores, division, reducer), reducer);
    EXPECT_EQ(own.assignments.size(0), division[static_cast<size_t>(reducer.rank())]);
    const auto all = reducer.all_gather(own.assignments);
    EXPECT_LE((all - one.assignments).abs().max().template item<double>(), tolerance) << reducer.ranks() << " ranks";
    EXPECT_TRUE(at::equal(all.argmax(1), one.assignments.argmax(1))) << reducer.ranks() << " ranks";
    EXPECT_EQ(own.samples, one.samples);
    EXPECT_EQ(own.used_clusters, one.used_clusters);
    EXPECT_NEAR(own.entropy, one.entropy, 1e-6);
    EXPECT_NEAR(own.marginal_error, one.marginal_error, 1e-6 + tolerance);
    EXPECT_EQ(reducer.max(own.entropy), own.entropy) << "figures differ between ranks";
  });
}

constexpr double kTwoUlp = 1.2e-7;  // of a float32 near 1
}  // namespace

TEST(SinkhornRanks, SweepsInTheMatrixFormAgree) {
  for (const auto& [samples, clusters] : {std::pair{40, 9}, {12, 13}, {5, 1}, {300, 1000}}) {
    expect_the_same(cosines(samples, clusters), kTwoUlp,
                    [](const Tensor& scores, Reducer& reducer) { return cluster::sinkhorn(scores, {}, reducer); });
  }
}

TEST(SinkhornRanks, SweepsInTheLogDomainAgree) {
  for (const double size : {1e2, 1e4}) {
    for (const int64_t sweeps : {0, 1, 3}) {
      const cluster::SinkhornOptions options{.epsilon = sweeps == 0 ? size : 0.05, .iterations = sweeps};
      expect_the_same(cosines(40, 9) * size, kTwoUlp, [&](const Tensor& scores, Reducer& reducer) {
        return cluster::sinkhorn(scores, options, reducer);
      });
    }
  }
}

// By sweeps alone (cosines), by Newton's method over the clusters, and over the samples where they are fewer.
TEST(SinkhornRanks, ExactMarginalsAgree) {
  for (const auto& [samples, clusters, size] : {std::tuple{48, 6, 1.0}, {64, 10, 1e2}, {64, 10, 1e4}, {10, 64, 1e4}}) {
    int64_t one = 0;
    expect_the_same(cosines(samples, clusters) * size, 1e-5,
                    [&, count = clusters](const Tensor& scores, Reducer& reducer) {
                      auto result = cluster::sinkhorn(scores, {.tolerance = 1e-6}, reducer);
                      if (reducer.ranks() == 1) one = result.iterations;
                      EXPECT_LE(result.marginal_error, 1.2e-6);
                      const auto columns = reducer.all_reduce(result.assignments.sum(0, false, at::kDouble));
                      EXPECT_LE((columns * count / result.samples - 1).abs().max().template item<double>(), 1.2e-6);
                      EXPECT_NEAR(static_cast<double>(result.iterations), static_cast<double>(one), 3);
                      return result;
                    });
  }
}

TEST(SinkhornRanks, EachRankIsInTheMatrixFormOrNone) {
  auto scores = cosines(30, 5);
  scores[29][2] = 1e3;  // the range of the last rank alone asks for the log domain
  expect_the_same(scores, kTwoUlp,
                  [](const Tensor& own, Reducer& reducer) { return cluster::sinkhorn(own, {}, reducer); });
}

TEST(SinkhornRanks, WhatOneRankBringsThatIsNotFiniteIsAnErrorOfAll) {
  for (const int64_t bad : {0, 2}) {
    std::atomic<int> threw{0};
    on_ranks(3, [&](Reducer& reducer) {
      auto scores = cosines(4, 3);
      if (reducer.rank() == bad) scores[1][2] = std::nan("");
      EXPECT_EQ(test::message_of<Error>([&] { cluster::sinkhorn(scores, {}, reducer); }),
                "sinkhorn: scores must be finite, got 1 of 36 that are inf or nan");
      EXPECT_THAT(test::message_of<Error>([&] { cluster::softmax_assignment(scores, 0.05, reducer); }),
                  testing::HasSubstr("got 1 that"));
      ++threw;
    });
    EXPECT_EQ(threw, 3);
  }
  on_ranks(2, [](Reducer& reducer) {
    EXPECT_EQ(test::message_of<Error>([&] { cluster::sinkhorn(at::zeros({0, 3}), {}, reducer); }),
              "sinkhorn: scores must have at least one row and one column, got [0, 3]");
  });
}

TEST(SoftmaxRanks, FiguresAreOfAllRows) {
  expect_the_same(cosines(40, 9), kTwoUlp, [](const Tensor& scores, Reducer& reducer) {
    return cluster::softmax_assignment(scores, 0.05, reducer);
  });
}

TEST(ClusterHealthRanks, CountsTheSamplesOfAllRanks) {
  on_ranks(4, [](Reducer& reducer) {
    const auto planted = at::arange(8).slice(0, 2 * reducer.rank(), 2 * reducer.rank() + 2);
    const auto result = cluster::sinkhorn(at::one_hot(planted, 8).to(at::kFloat), {}, reducer);
    const auto health = cluster::cluster_health(result, 0.1);
    EXPECT_EQ(health.samples, 8);
    EXPECT_EQ(health.used, 8);
  });
}
