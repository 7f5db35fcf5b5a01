#include "sdg/cluster/collapse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <string>

#include "sdg/core/rng.h"

using namespace sdg;

namespace {
std::string warning_of(const Tensor& scores) {
  const auto result = cluster::sinkhorn(scores);
  const auto loss = cluster::assignment_loss(scores, result.assignments).mean().item<double>();
  return cluster::collapse_warning(cluster::cluster_health(result, loss));
}
}  // namespace

TEST(CollapseWarning, IsSilentForPlantedClusters) {
  const auto planted = at::arange(8).repeat({8});
  EXPECT_EQ(warning_of(at::one_hot(planted, 8).to(at::kFloat)), "");
}

TEST(CollapseWarning, SpeaksWhereEveryFeatureIsTheSame) {
  const auto equal = at::zeros({64, 8}) + 0.3;
  EXPECT_THAT(warning_of(equal), testing::HasSubstr("the scores say nothing about the cluster"));
}

TEST(CollapseWarning, SpeaksWhereFewClustersOwnSamples) {
  const auto warning = cluster::collapse_warning({.clusters = 100, .samples = 64, .used = 3, .loss_ratio = 0.4});
  EXPECT_THAT(warning, testing::HasSubstr("only 3 of 64 usable clusters"));
  EXPECT_EQ(warning.find('\n'), std::string::npos);
}

TEST(CollapseWarning, ABatchSmallerThanTheClustersIsNotACollapse) {
  EXPECT_EQ(cluster::collapse_warning({.clusters = 5000, .samples = 8, .used = 8, .loss_ratio = 0.4}), "");
}

TEST(CollapseWarning, ALossThatIsNotANumberIsNotHealthy) {
  EXPECT_NE(cluster::collapse_warning({.clusters = 8, .samples = 64, .used = 8, .loss_ratio = std::nan("")}), "");
}

TEST(CollapseWarning, OneClusterHasNothingToTellApart) {
  EXPECT_EQ(warning_of(at::zeros({16, 1})), "");
}
