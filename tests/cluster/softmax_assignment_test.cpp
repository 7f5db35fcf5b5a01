#include "sdg/cluster/softmax_assignment.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"

using namespace sdg;

TEST(SoftmaxAssignment, IsTheSoftmaxOfEachRowAlone) {
  const auto scores = at::tensor({0.5F, 0.1F, -0.2F, -0.1F, 0.2F, 0.6F}).view({2, 3});
  const auto result = cluster::softmax_assignment(scores, 0.1);
  for (int64_t i = 0; i < 2; ++i) {
    double total = 0;
    for (int64_t k = 0; k < 3; ++k) total += std::exp(scores[i][k].item<double>() / 0.1);
    for (int64_t k = 0; k < 3; ++k)
      EXPECT_NEAR(result.assignments[i][k].item<double>(), std::exp(scores[i][k].item<double>() / 0.1) / total, 1e-6);
  }
}

TEST(SoftmaxAssignment, LeavesClustersAsUnevenAsTheScoresAre) {
  const auto scores = at::tensor({1.0F, 0.0F}).repeat({8, 1});  // all rows prefer cluster 0
  const auto alone = cluster::softmax_assignment(scores, 0.05);
  EXPECT_EQ(alone.used_clusters, 1);
  EXPECT_NEAR(alone.entropy, 0, 1e-6);
  EXPECT_NEAR(alone.marginal_error, 1, 1e-6);
  EXPECT_NEAR(cluster::sinkhorn(scores).entropy, std::log(2), 1e-9);
}

TEST(SoftmaxAssignment, StaysFiniteForLargeScoresAndRefusesWhatIsNot) {
  EXPECT_TRUE(cluster::softmax_assignment(at::tensor({1e4F, -1e4F}).view({1, 2}), 0.05)
                  .assignments.isfinite()
                  .all()
                  .item<bool>());
  EXPECT_THROW(cluster::softmax_assignment(at::tensor({NAN, 0.0F}).view({1, 2}), 0.05), Error);
  EXPECT_THROW(cluster::softmax_assignment(at::zeros({1, 2}), 0), Error);
}
