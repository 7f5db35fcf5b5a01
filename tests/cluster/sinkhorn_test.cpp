#include "sdg/cluster/sinkhorn.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/rng.h"

using namespace sdg;

namespace {
Tensor cosines(int64_t samples, int64_t clusters, uint64_t step = 0) {
  return rng::uniform({3, rng::Purpose::kTest, step}, rng::consecutive(0, samples), {clusters}) * 2 - 1;
}
// Largest relative distance of the column sums from B/K, and of the row sums from 1, over the result itself.
double marginal_error(const Tensor& assignments) {
  const auto q = assignments.to(at::kDouble);
  const double share = static_cast<double>(q.size(0)) / static_cast<double>(q.size(1));
  return std::max((q.sum(0) / share - 1).abs().max().item<double>(), (q.sum(1) - 1).abs().max().item<double>());
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

// 64 samples for 10 clusters leave some samples divided, 48 for 6 none; with signs whole blocks of scores tie.
TEST(Sinkhorn, BothMarginalsAreExactWhereScoresArePracticallyAHardAssignment) {
  for (const auto& [samples, clusters] : {std::pair{64, 10}, {48, 6}, {10, 64}, {32, 32}, {8, 700}}) {
    for (const double size : {1e2, 1e4}) {
      for (const bool ties : {false, true}) {
        const auto raw = cosines(samples, clusters);
        const auto scores = (ties ? raw.sign() : raw) * size;
        const auto result = cluster::sinkhorn(scores, {.tolerance = 1e-6});
        expect_rows_are_distributions(result.assignments);
        EXPECT_LT(marginal_error(result.assignments), 1.2e-6)
            << samples << 'x' << clusters << " of size " << size << (ties ? " with ties" : "");
        EXPECT_LE(result.marginal_error, 1e-6);
      }
    }
  }
}

// Of all balanced assignments the hard limit has the highest total score: an optimal transport, here by brute force.
TEST(Sinkhorn, AHardAssignmentIsTheBestOne) {
  const auto scores = cosines(6, 6) * 1e4;
  const auto q = cluster::sinkhorn(scores, {.tolerance = 1e-6}).assignments;
  std::vector<int64_t> order{0, 1, 2, 3, 4, 5};
  double best = -1e9;
  do {
    double total = 0;
    for (int64_t i = 0; i < 6; ++i) total += scores[i][order[i]].item<double>();
    best = std::max(best, total);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_NEAR((q * scores).sum().item<double>(), best, 0.1);
}

TEST(Sinkhorn, BothMarginalsAreExactForFarMoreClustersThanSamples) {
  for (const double size : {1.0, 1e2, 1e4}) {
    const auto result = cluster::sinkhorn(cosines(8, 5000) * size, {.tolerance = 1e-6});
    EXPECT_LT(marginal_error(result.assignments), 1.2e-6) << size;
  }
}

// The way that is taken depends on the range of the scores; the numbers do not.
TEST(Sinkhorn, MatrixFormAndLogDomainMeetAtTheirBorder) {
  const double epsilon = 0.05;
  for (const int64_t sweeps : {1, 4}) {
    auto scores = cosines(50, 30);
    const auto matrix = cluster::sinkhorn(scores, {.epsilon = epsilon, .iterations = sweeps});
    const auto wide = at::cat({scores, at::full({50, 1}, -1e4)}, 1);  // a cluster that nobody wants: log domain
    const auto twin = slow_twin(scores, epsilon, sweeps);
    EXPECT_LT(distance(matrix.assignments.to(at::kDouble), twin), 1e-7);
    for (const double range : {79.0, 81.0}) {
      scores[3][4] = scores.max().item<double>() - range * epsilon;
      const auto q = cluster::sinkhorn(scores, {.epsilon = epsilon, .iterations = sweeps}).assignments;
      EXPECT_LT(distance(q.to(at::kDouble), slow_twin(scores, epsilon, sweeps)), 1e-7) << range;
    }
    expect_rows_are_distributions(cluster::sinkhorn(wide, {.epsilon = epsilon, .iterations = sweeps}).assignments);
  }
}

// 300 x 1000 is cut into blocks, whose sums are joined; 37 x 7001 has a last block that is smaller.
TEST(Sinkhorn, LargeBatchesInBlocksAgreeWithLongDouble) {
  for (const auto& [samples, clusters] : {std::pair{300, 1000}, {37, 7001}}) {
    const auto scores = cosines(samples, clusters);
    const auto result = cluster::sinkhorn(scores);
    EXPECT_LT(distance(result.assignments.to(at::kDouble), slow_twin(scores, 0.05, 3)), 1e-7);
    const auto columns = result.assignments.to(at::kDouble).sum(0) * clusters / samples;
    EXPECT_NEAR(result.marginal_error, (columns - 1).abs().max().item<double>(), 1e-5);
    EXPECT_EQ(result.used_clusters, std::get<0>(at::_unique(result.assignments.argmax(1))).numel());
  }
}

TEST(Sinkhorn, TheNumberOfThreadsChangesNoBit) {
  const auto scores = cosines(300, 1000);
  cluster::SinkhornResult alone;  // a worker makes the calls for its blocks itself
  worker_pool().run(1, [&](int64_t) { alone = cluster::sinkhorn(scores); });
  const auto together = cluster::sinkhorn(scores);
  EXPECT_TRUE(at::equal(alone.assignments, together.assignments));
  EXPECT_EQ(alone.entropy, together.entropy);
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

// Points around prototypes on the sphere, and scores whose clusters differ in level and in spread: the raw argmax gives
// some clusters far too many samples, the balanced assignment finds the planted ones.
TEST(Sinkhorn, RecoversBlobsAroundPrototypesWhoseScoresAreUnequal) {
  const int64_t clusters = 12, each = 40, dim = 16;
  const auto normal = [](int64_t rows, int64_t columns, uint64_t step) {
    return rng::normal({4, rng::Purpose::kTest, step}, rng::consecutive(0, rows), {columns});
  };
  const auto unit = [](const Tensor& x) { return x / x.norm(2, {-1}, true); };
  const auto prototypes = unit(normal(clusters, dim, 0));
  const auto planted = at::arange(clusters).repeat({each});
  const auto points = unit(prototypes.index_select(0, planted) + 0.12 * normal(clusters * each, dim, 1));
  const auto scores = points.mm(prototypes.t()) + at::linspace(-0.5, 0.5, clusters);
  const auto accuracy = [&](const Tensor& found) { return found.eq(planted).to(at::kDouble).mean().item<double>(); };
  EXPECT_LT(accuracy(scores.argmax(1)), 0.9) << "the raw scores would do: tests nothing";
  EXPECT_GT(accuracy(cluster::sinkhorn(scores).assignments.argmax(1)), 0.99);
  const auto exact = cluster::sinkhorn(scores, {.tolerance = 1e-6});
  EXPECT_GT(accuracy(exact.assignments.argmax(1)), 0.99);
  EXPECT_LT(marginal_error(exact.assignments), 1.2e-6);
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

TEST(SinkhornWithoutWaiting, IsTheSameWithinFloat32) {
  for (const int64_t clusters : {1, 7, 40}) {
    const auto scores = rng::uniform({1, rng::Purpose::kTest, 0}, rng::consecutive(0, 30), {clusters}) * 2 - 1;
    for (const int64_t sweeps : {1, 3, 10}) {
      const auto expected = cluster::sinkhorn(scores, {.iterations = sweeps});
      const auto found = cluster::sinkhorn(scores, {.iterations = sweeps, .no_waiting = true});
      EXPECT_LE((found.assignments - expected.assignments).abs().max().item<double>(), 2e-5)
          << clusters << " " << sweeps;
      EXPECT_EQ(found.assignments.scalar_type(), at::kFloat);
      EXPECT_EQ(found.used_clusters, expected.used_clusters);
      EXPECT_EQ(found.iterations, expected.iterations);
      EXPECT_NEAR(found.entropy, expected.entropy, 1e-5);
      EXPECT_NEAR(found.marginal_error, expected.marginal_error, 1e-4);
    }
  }
  EXPECT_THROW(cluster::sinkhorn(at::zeros({2, 2}), {.iterations = 0, .no_waiting = true}), Error);
  const auto bad = cluster::sinkhorn(at::full({3, 2}, NAN), {.no_waiting = true});
  EXPECT_TRUE(bad.assignments.isnan().any().item<bool>()) << "what is not finite must not pass for an assignment";
}
