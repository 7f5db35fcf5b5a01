#include "sdg/cluster/window_loss.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <limits>

#include "sdg/core/error.h"
#include "support/thread_reducer.h"

using namespace sdg;
using cluster::Averaging;

TEST(InWindow, LeavesOutBothEnds) {
  const auto mask = cluster::in_window(at::tensor({0.0F, 0.8F, 0.80001F, 0.85F, 0.89999F, 0.9F, 1.0F}), 0.8, 0.9);
  EXPECT_TRUE(at::equal(mask, at::tensor({0, 0, 1, 1, 1, 0, 0}).to(at::kBool))) << mask;
}

TEST(WindowMean, BatchDividesByAllSamplesAndWindowByItsOwn) {
  const auto losses = at::tensor({1.0, 2.0, 4.0, 8.0});
  const auto mask = at::tensor({0, 1, 1, 0}).to(at::kBool);
  EXPECT_DOUBLE_EQ(cluster::window_mean(losses, mask, Averaging::kBatch).item<double>(), 1.5);
  EXPECT_DOUBLE_EQ(cluster::window_mean(losses, mask, Averaging::kWindow).item<double>(), 3.0);
}

TEST(WindowMean, TokensFollowTheirOwnImage) {
  const auto losses = at::tensor({1.0, 2.0, 4.0, 8.0, 16.0, 32.0});  // two images of three tokens
  const auto mask = at::tensor({0, 1}).to(at::kBool);
  EXPECT_DOUBLE_EQ(cluster::window_mean(losses, mask, Averaging::kWindow).item<double>(), 56.0 / 3);
}

TEST(WindowMean, AnEmptyWindowIsZeroWithZeroGradient) {
  for (const auto averaging : {Averaging::kBatch, Averaging::kWindow}) {
    const auto losses = at::tensor({1.0, 2.0}).requires_grad_();
    const auto mean = cluster::window_mean(losses, at::zeros({2}, at::kBool), averaging);
    EXPECT_EQ(mean.item<double>(), 0);
    mean.backward();
    EXPECT_TRUE(at::equal(losses.grad(), at::zeros_like(losses)));
  }
}

TEST(WindowMean, WhatIsNotFiniteOutsideDoesNotLeakIn) {
  const auto losses = at::tensor({std::numeric_limits<double>::infinity(), 3.0, std::nan("")});
  const auto mask = at::tensor({0, 1, 0}).to(at::kBool);
  EXPECT_DOUBLE_EQ(cluster::window_mean(losses, mask, Averaging::kBatch).item<double>(), 1.0);
}

TEST(WindowMean, RefusesAMaskThatDoesNotDivideTheLosses) {
  EXPECT_THROW(cluster::window_mean(at::zeros({5}), at::zeros({2}, at::kBool), Averaging::kBatch), Error);
}

TEST(WarmUpWeight, GrowsLinearlyAndStays) {
  EXPECT_EQ(cluster::warm_up_weight(0, 20, 0.5), 0);
  EXPECT_DOUBLE_EQ(cluster::warm_up_weight(5, 20, 0.5), 0.125);
  EXPECT_EQ(cluster::warm_up_weight(20, 20, 0.5), 0.5);
  EXPECT_EQ(cluster::warm_up_weight(1000, 20, 0.5), 0.5);
  EXPECT_EQ(cluster::warm_up_weight(0, 0, 0.5), 0.5);
}

TEST(WindowMean, PartsOfRanksAddUpToTheMeanOverAll) {
  const auto losses = at::arange(24, at::kDouble).square();  // 8 images of 3 tokens
  const auto mask = at::tensor({0, 1, 1, 0, 0, 0, 1, 0}).to(at::kBool);
  for (const auto averaging : {Averaging::kBatch, Averaging::kWindow}) {
    const auto one = losses.clone().requires_grad_();
    const auto expected = cluster::window_mean(one, mask, averaging);
    expected.backward();
    test::on_divisions(8, [&](Reducer& reducer, const auto& division) {
      auto own = test::share(losses.view({8, 3}), division, reducer).flatten().clone().requires_grad_();
      const auto part = cluster::window_mean(own, test::share(mask, division, reducer), averaging, reducer);
      EXPECT_NEAR(reducer.sum(part.template item<double>()), expected.template item<double>(), 1e-12);
      part.backward();
      EXPECT_TRUE(at::equal(reducer.all_gather(own.grad()), one.grad()));
    });
  }
}

TEST(WindowMean, OverNoRowOfAnyRankIsAnError) {
  test::on_ranks(2, [](Reducer& reducer) {
    EXPECT_THROW(cluster::window_mean(at::zeros({0}), at::zeros({0}, at::kBool), Averaging::kBatch, reducer), Error);
  });
}
