#include "sdg/metrics/clustering.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::metrics {
namespace {
Tensor labels(std::vector<int64_t> values) {
  return at::tensor(values, at::kLong);
}

// Pairs counted one by one.
double slow_rand_score(const Tensor& a, const Tensor& b) {
  const auto n = a.numel();
  int64_t agree = 0;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < i; ++j) {
      const bool joined_a = a[i].item<int64_t>() == a[j].item<int64_t>(),
                 joined_b = b[i].item<int64_t>() == b[j].item<int64_t>();
      agree += joined_a == joined_b;
    }
  }
  return 2.0 * static_cast<double>(agree) / static_cast<double>(n * (n - 1));
}
}  // namespace

TEST(ClusterScores, MatchKnownValues) {
  const ClusterScores s =
      cluster_scores(labels({0, 0, 0, 1, 1, 1, 2, 2, 2, 2}), labels({0, 0, 1, 1, 1, 2, 2, 2, 2, 0}));
  EXPECT_NEAR(s.nmi, 0.44270128, 1e-8);
  EXPECT_NEAR(s.ami, 0.23728878, 1e-8);
  EXPECT_NEAR(s.ari, 0.20454545, 1e-8);
  EXPECT_NEAR(s.accuracy, 0.7, 1e-12);
}

TEST(ClusterScores, ForgetTheNamesOfClusters) {
  const Tensor truth = labels({3, 3, 5, 5, 5, -1}), predicted = labels({0, 0, 9, 9, 9, 4});
  const ClusterScores s = cluster_scores(truth, predicted);
  EXPECT_NEAR(s.nmi, 1, 1e-12);
  EXPECT_NEAR(s.ami, 1, 1e-12);
  EXPECT_NEAR(s.ari, 1, 1e-12);
  EXPECT_EQ(s.accuracy, 1);
}

TEST(ClusterScores, AreSymmetricAndRandIsTheFractionOfAgreeingPairs) {
  const auto draw = [](uint64_t step, int64_t k) {
    return (rng::uniform({3, rng::Purpose::kTest, step}, rng::consecutive(0, 60), {}) * static_cast<double>(k))
        .to(at::kLong);
  };
  const Tensor a = draw(0, 4), b = draw(1, 7);
  const ClusterAgreement ab = cluster_agreement(a, b), ba = cluster_agreement(b, a);
  EXPECT_NEAR(ab.nmi, ba.nmi, 1e-12);
  EXPECT_NEAR(ab.ami, ba.ami, 1e-12);
  EXPECT_NEAR(ab.ari, ba.ari, 1e-12);
  EXPECT_NEAR(ab.accuracy, ba.accuracy, 1e-12);
  EXPECT_NEAR(ab.homogeneity, ba.completeness, 1e-12);
  EXPECT_NEAR(ab.rand_score, slow_rand_score(a, b), 1e-12);
}

TEST(ClusterScores, ExpectedInformationIsTheMeanOverShuffles) {
  const Tensor truth = labels({0, 0, 0, 0, 1, 1, 1, 2}), predicted = labels({0, 0, 1, 1, 1, 2, 2, 2});
  const double expected = cluster_agreement(truth, predicted).expected_mutual_info;
  double sum = 0;
  constexpr int kShuffles = 3000;
  for (int i = 0; i < kShuffles; ++i) {
    const auto order = rng::permutation({5, rng::Purpose::kTest, static_cast<uint64_t>(i)}, 8);
    sum += cluster_agreement(truth, predicted.index_select(0, labels(order))).mutual_info;
  }
  EXPECT_NEAR(expected, sum / kShuffles, 0.01);
}

TEST(ClusterScores, PurityIsTheShareOfTheCommonestClassOfEachCluster) {
  // Clusters {0 0 1}, {1 1 2}, {2 2 2 0}: 2 + 2 + 3 of 10.
  const auto r = cluster_agreement(labels({0, 0, 1, 1, 1, 2, 2, 2, 2, 0}), labels({5, 5, 5, 7, 7, 7, 9, 9, 9, 9}));
  EXPECT_NEAR(r.purity, 0.7, 1e-12);
  EXPECT_EQ(cluster_agreement(labels({0, 0, 1}), labels({0, 1, 2})).purity, 1);
}

TEST(ClusterScores, RefuseWhatAreNotLabels) {
  EXPECT_THROW(cluster_scores(labels({0, 1}), labels({0})), Error);
  EXPECT_THROW(cluster_scores(at::zeros({2}), at::zeros({2})), Error);
  EXPECT_THROW(cluster_scores(at::zeros({0}, at::kLong), at::zeros({0}, at::kLong)), Error);
}
}  // namespace sdg::metrics
