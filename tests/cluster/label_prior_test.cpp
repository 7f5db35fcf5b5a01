#include "sdg/cluster/label_prior.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/core/error.h"
#include "support/thread_reducer.h"

using namespace sdg;

namespace {
const rng::Stream kStream{11, rng::Purpose::kSampleCluster, 0};
}

TEST(LabelPrior, DividesCountsByTheirSum) {
  const auto prior = cluster::label_prior(at::tensor({1, 0, 3}));
  EXPECT_TRUE(at::equal(prior, at::tensor({0.25, 0.0, 0.75}, at::kDouble))) << prior;
}

TEST(LabelPrior, RefusesCountsThatAreNoCounts) {
  EXPECT_THROW(cluster::label_prior(at::zeros({3})), Error);
  EXPECT_THROW(cluster::label_prior(at::tensor({2, -1, 3})), Error);
  EXPECT_THROW(cluster::label_prior(at::tensor({1.0, std::nan("")})), Error);
  EXPECT_THROW(cluster::label_prior(at::ones({2, 2})), Error);
}

TEST(Draw, FollowsThePriorByAChiSquareTest) {
  const auto prior = cluster::label_prior(at::tensor({5, 1, 20, 7, 2, 15}));
  const int64_t count = 40000;
  const auto ids = cluster::draw(prior, kStream, rng::consecutive(0, count));
  const auto expected = prior * count;
  const auto seen = at::bincount(ids, {}, 6).to(at::kDouble);
  const double chi_square = ((seen - expected).square() / expected).sum().item<double>();
  EXPECT_LT(chi_square, 20.5) << "99.9 % quantile of 5 degrees of freedom";
  EXPECT_GT(chi_square, 0.15) << "fits better than chance";
}

TEST(Draw, DoesNotDependOnTheBatch) {
  const auto prior = cluster::label_prior(at::tensor({5, 1, 20, 7}));
  const auto whole = cluster::draw(prior, kStream, rng::consecutive(0, 100));
  const auto parts = at::cat({cluster::draw(prior, kStream, rng::consecutive(0, 33)),
                              cluster::draw(prior, kStream, rng::consecutive(33, 67))});
  EXPECT_TRUE(at::equal(whole, parts));
  EXPECT_EQ(whole.scalar_type(), at::kLong);
  EXPECT_FALSE(at::equal(whole, cluster::draw(prior, {12, kStream.purpose, 0}, rng::consecutive(0, 100))));
}

TEST(Draw, AClusterOfProbabilityZeroIsNeverDrawn) {
  const auto ids =
      cluster::draw(cluster::label_prior(at::tensor({0.0, 3.0, 0.0, 1e-3, 0.0})), kStream, rng::consecutive(0, 50000));
  EXPECT_TRUE(((ids == 1).logical_or(ids == 3)).all().item<bool>());
  EXPECT_TRUE((ids == 3).any().item<bool>()) << "the rare cluster is missing";
}

TEST(LabelCounts, AreThoseOfAllRanks) {
  const auto ids = at::tensor({3, 0, 3, 1, 3, 5, 0, 0, 3}, at::kLong);
  const auto expected = at::tensor({3, 1, 0, 4, 0, 1, 0}, at::kDouble);
  test::on_divisions(9, [&](Reducer& reducer, const auto& division) {
    EXPECT_TRUE(at::equal(cluster::label_counts(test::share(ids, division, reducer), 7, reducer), expected));
  });
  EXPECT_TRUE(at::equal(cluster::label_counts(ids.view({3, 3}), 7), expected));
  test::on_ranks(2, [&](Reducer& reducer) {
    const auto own = at::full({2}, reducer.rank() == 0 ? 2 : 7, at::kLong);
    EXPECT_THROW(cluster::label_counts(own, 7, reducer), Error);
  });
}
