#include "sdg/cluster/sinkhorn.h"

#include <gtest/gtest.h>
#include <torch/torch.h>

#include <cmath>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {
Tensor cosines(int64_t samples, int64_t clusters, uint64_t step = 0) {
  return rng::uniform({3, rng::Purpose::kTest, step}, rng::indices(0, samples), {clusters}) * 2 - 1;
}
double distance(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}
void expect_rows_are_distributions(const Tensor& q) {
  EXPECT_TRUE(q.isfinite().all().item<bool>());
  EXPECT_GE(q.min().item<double>(), 0);
  EXPECT_LT((q.to(at::kDouble).sum(1) - 1).abs().max().item<double>(), 1e-5);
}

// The plain matrix form with its entries scaled one after the other, in long double.
Tensor slow_twin(const Tensor& scores, long double epsilon, int64_t sweeps) {
  const int64_t samples = scores.size(0), clusters = scores.size(1);
  std::vector<std::vector<long double>> plan(samples, std::vector<long double>(clusters));
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t k = 0; k < clusters; ++k) plan[i][k] = std::exp(scores[i][k].item<float>() / epsilon);
  }
  for (int64_t sweep = 0; sweep < sweeps; ++sweep) {
    for (int64_t k = 0; k < clusters; ++k) {
      long double sum = 0;
      for (int64_t i = 0; i < samples; ++i) sum += plan[i][k];
      for (int64_t i = 0; i < samples; ++i) plan[i][k] /= sum * clusters;
    }
    for (auto& row : plan) {
      long double sum = 0;
      for (const auto value : row) sum += value;
      for (auto& value : row) value /= sum * samples;
    }
  }
  auto out = at::empty({samples, clusters}, at::kDouble);
  for (int64_t i = 0; i < samples; ++i) {
    for (int64_t k = 0; k < clusters; ++k) out[i][k] = static_cast<double>(plan[i][k] * samples);
  }
  return out;
}
}  // namespace

TEST(Sinkhorn, AgreesWithTheMatrixFormInLongDouble) {
  for (const auto& [samples, clusters] : {std::pair{1, 4}, {7, 13}, {40, 9}, {5, 1}}) {
    for (const double epsilon : {0.05, 0.5}) {
      for (const int64_t sweeps : {1, 3, 20}) {
        const auto scores = cosines(samples, clusters);
        const auto q = cluster::sinkhorn(scores, {.epsilon = epsilon, .iterations = sweeps}).assignments;
        EXPECT_LT(distance(q.to(at::kDouble), slow_twin(scores, epsilon, sweeps)), 1e-7)
            << samples << 'x' << clusters << " epsilon " << epsilon << " sweeps " << sweeps;
      }
    }
  }
}

TEST(Sinkhorn, StaysFiniteWhereTheExponentialOverflows) {
  for (const double size : {1e2, 1e4}) {
    const auto scores = cosines(64, 10).sign() * size;
    ASSERT_FALSE((scores / 0.05).exp().isfinite().all().item<bool>()) << "the plain form would do: tests nothing";
    expect_rows_are_distributions(cluster::sinkhorn(scores).assignments);
    expect_rows_are_distributions(cluster::sinkhorn(cosines(64, 10) * size).assignments);
  }
}

TEST(Sinkhorn, TakesFarMoreClustersThanSamples) {
  const auto result = cluster::sinkhorn(cosines(8, 5000));
  expect_rows_are_distributions(result.assignments);
  EXPECT_EQ(result.assignments.sizes(), (Shape{8, 5000}));
  EXPECT_LE(result.used_clusters, 8);
}

TEST(Sinkhorn, EqualRowsShareEveryClusterEqually) {
  const auto result = cluster::sinkhorn(cosines(1, 6).repeat({12, 1}));
  EXPECT_LT(distance(result.assignments, at::full({12, 6}, 1.0 / 6)), 1e-6);
  EXPECT_LT(result.marginal_error, 1e-6);
  EXPECT_NEAR(result.entropy, std::log(6.0), 1e-6);
}

TEST(Sinkhorn, ToleranceMakesBothMarginalsExact) {
  const auto scores = cosines(48, 6);
  const auto rough = cluster::sinkhorn(scores);
  const auto exact = cluster::sinkhorn(scores, {.tolerance = 1e-6, .max_iterations = 100000});
  EXPECT_GT(rough.marginal_error, 1e-4) << "three sweeps were enough: tests nothing";
  EXPECT_LE(exact.marginal_error, 1.01e-6);
  EXPECT_GT(exact.iterations, rough.iterations);
  const auto q = exact.assignments.to(at::kDouble);
  EXPECT_LT((q.sum(0) / 8 - 1).abs().max().item<double>(), 1.5e-6);  // 48 samples / 6 clusters
  EXPECT_LT((q.sum(1) - 1).abs().max().item<double>(), 1e-6);
}

TEST(Sinkhorn, PermutingSamplesOrClustersPermutesTheAssignment) {
  const auto scores = cosines(20, 7);
  const auto rows = at::tensor(rng::permutation({1}, 20)), columns = at::tensor(rng::permutation({2}, 7));
  const auto q = cluster::sinkhorn(scores).assignments;
  const auto permuted = cluster::sinkhorn(scores.index_select(0, rows).index_select(1, columns)).assignments;
  EXPECT_LT(distance(permuted, q.index_select(0, rows).index_select(1, columns)), 1e-6);
}

// The first half of a sweep takes it away again.
TEST(Sinkhorn, AConstantAddedToAClusterChangesNothing) {
  const auto scores = cosines(20, 7).to(at::kDouble);
  const auto shifted = scores + cosines(1, 7, 2);
  EXPECT_LT(distance(cluster::sinkhorn(scores).assignments, cluster::sinkhorn(shifted).assignments), 1e-6);
}

TEST(Sinkhorn, RecoversPlantedClusters) {
  const int64_t clusters = 5, each = 20;
  const auto planted = at::arange(clusters).repeat({each});
  const auto scores = at::one_hot(planted, clusters) * 0.6 + 0.2 * cosines(clusters * each, clusters);
  const auto result = cluster::sinkhorn(scores);
  EXPECT_TRUE(at::equal(result.assignments.argmax(1), planted));
  EXPECT_EQ(result.used_clusters, clusters);
}

TEST(Sinkhorn, DividesABatchThatPrefersOneCluster) {
  auto scores = 0.1 * cosines(60, 4);
  scores.select(1, 2) += 0.5;
  ASSERT_TRUE((scores.argmax(1) == 2).all().item<bool>());
  EXPECT_EQ(cluster::sinkhorn(scores, {.iterations = 10}).used_clusters, 4);
}

TEST(Sinkhorn, LeavesNoGradientAndRefusesWhatIsNotFinite) {
  auto scores = cosines(6, 3).requires_grad_();
  EXPECT_FALSE(cluster::sinkhorn(scores).assignments.requires_grad());
  auto bad = cosines(6, 3);
  bad[1][2] = std::nan("");
  try {
    cluster::sinkhorn(bad);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "sinkhorn: scores must be finite, got 1 of 18 that are inf or nan");
  }
  EXPECT_THROW(cluster::sinkhorn(cosines(6, 3), {.epsilon = 0}), Error);
  EXPECT_THROW(cluster::sinkhorn(at::zeros({0, 3})), Error);
}

TEST(AssignmentLoss, IsTheCrossEntropyOfEachRow) {
  const auto scores = at::tensor({0.3, -0.1}, at::kDouble).reshape({1, 2});
  const auto q = at::tensor({0.25, 0.75}, at::kDouble).reshape({1, 2});
  const double log_sum = std::log(std::exp(3.0) + std::exp(-1.0));
  EXPECT_NEAR(cluster::assignment_loss(scores, q, 0.1).item<double>(), -(0.25 * 3 + 0.75 * -1) + log_sum, 1e-12);
}

TEST(AssignmentLoss, ItsGradientPullsTheSoftmaxToTheAssignment) {
  const auto q = cluster::sinkhorn(cosines(5, 4)).assignments;
  const auto scores = cosines(5, 4, 1).to(at::kDouble).requires_grad_();
  cluster::assignment_loss(scores, q, 0.2).sum().backward();
  EXPECT_LT(distance(scores.grad(), ((scores / 0.2).softmax(1) - q).detach() / 0.2), 1e-5);
}
