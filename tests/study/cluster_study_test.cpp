#include "sdg/study/cluster_study.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;
using namespace sdg::study;

TEST(ClusterSizes, CountDeadAndDominantClusters) {
  const auto even = cluster_sizes(at::tensor({0, 1, 2, 3, 3, 2, 1, 0}, at::kLong), 4);
  EXPECT_NEAR(even.entropy, 1, 1e-12);
  EXPECT_TRUE(even.dead.empty());
  EXPECT_TRUE(even.dominant.empty());
  auto ids = at::zeros({100}, at::kLong);
  ids.slice(0, 0, 10).fill_(7);
  const auto uneven = cluster_sizes(ids, 8);
  EXPECT_EQ(uneven.counts[0], 90);
  EXPECT_EQ(uneven.dead, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(uneven.dominant, (std::vector<int64_t>{0}));
  EXPECT_NEAR(uneven.entropy, -(0.9 * std::log(0.9) + 0.1 * std::log(0.1)) / std::log(8.0), 1e-12);
  EXPECT_THROW(cluster_sizes(ids, 7), Error);
}

TEST(Churn, IsTheShareThatMoved) {
  EXPECT_DOUBLE_EQ(churn(at::tensor({1, 2, 3, 4}), at::tensor({1, 2, 0, 4})), 0.25);
  EXPECT_THROW(churn(at::tensor({1, 2}), at::tensor({1})), Error);
}

TEST(NearestTraining, FindsThePlantedCopyAndItsDistance) {
  const auto training =
      rng::uniform({3, rng::Purpose::kTest, 0}, rng::consecutive(0, 60), {1, 6, 6}).mul(255).to(at::kByte);
  auto generated = rng::uniform({4, rng::Purpose::kTest, 0}, rng::consecutive(0, 5), {1, 6, 6}).mul(255).to(at::kByte);
  generated[2].copy_(training[41]);
  generated[3].copy_(training[7]);
  generated[3][0][0][0] = training[7][0][0][0].item<int64_t>() > 100 ? 0 : 200;
  const auto near = nearest_training(generated, training);
  EXPECT_EQ(near.index[2], 41);
  EXPECT_NEAR(near.distance[2], 0, 1e-3);
  EXPECT_EQ(near.index[3], 7);
  EXPECT_EQ(near.closer_than_low, 2);
  // A scalar twin for one of the others.
  double best = 1e9;
  for (int64_t j = 0; j < 60; ++j) {
    const auto difference = generated[0].to(at::kDouble) - training[j].to(at::kDouble);
    best = std::min(best, std::sqrt(difference.square().mean().item<double>()));
  }
  EXPECT_NEAR(near.distance[0], best, 1e-3);
  EXPECT_LT(near.training_low, near.training_median);
}
