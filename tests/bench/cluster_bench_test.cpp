#include "sdg/bench/cluster_bench.h"

#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/learn/learner.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::tiny_config;

namespace {
const test::TemporaryFolder& data_folder() {
  static const test::TemporaryFolder folder;
  return folder;
}
recipe::RunConfig config_of(const std::string& pooling, const std::string& views, const std::string& level = "image") {
  auto config = tiny_config(data_folder() / "unused.safetensors");
  config.data.size = 8;
  config.data.channels = 1;
  test::named(config.cluster.pooling, pooling);
  test::named(config.cluster.views, views);
  test::named(config.cluster.level, level);
  return config;
}
}  // namespace

// All steps are after the change, so that the ids also become conditions.
TEST(EarlyExit, ChangesNoBitOfTrainingWhateverIsTapped) {
  for (const auto& [pooling, views, level] : {std::tuple{"flat", "two", "image"},
                                              {"mean", "two", "image"},
                                              {"cls", "one", "image"},
                                              {"flat", "one", "patch"}}) {
    for (const int64_t depth : {-1, 0}) {
      auto config = config_of(pooling, views, level);
      config.cluster.depth = depth;
      const auto result = bench::bench_early_exit(config, 6);
      EXPECT_TRUE(result.identical) << pooling << ' ' << views << ' ' << level << " depth " << depth;
      EXPECT_EQ(result.rows.size(), 4U);
    }
  }
}

TEST(EarlyExit, FeaturesAreThoseOfTheWholePass) {
  auto config = config_of("flat", "two");
  const auto network = network::build_network(config, 0, at::kCPU);
  const auto x = rng::normal({8, rng::Purpose::kTest, 0}, rng::consecutive(0, 5), {1, 8, 8});
  const auto eps = rng::normal({8, rng::Purpose::kTest, 1}, rng::consecutive(0, 5), {1, 8, 8});
  const auto t = at::full({5}, 0.85);
  const auto stopped = network::features_at(config, network, x, eps, t);
  config.cluster.early_exit = false;
  EXPECT_TRUE(test::same_bytes(stopped, network::features_at(config, network, x, eps, t)));
  config.cluster.depth = 0;  // else any features would do
  EXPECT_FALSE(test::same_bytes(stopped, network::features_at(config, network, x, eps, t)));
}

TEST(SinkhornBench, SharesAreOfTheStepScaledToTheBatch) {
  auto config = config_of("mean", "two");
  config.train.batch = 64;
  config.cluster.clusters = 30;
  const auto result = bench::bench_sinkhorn(config, 4, 2);
  EXPECT_EQ(result.batch, 64);
  EXPECT_EQ(result.clusters, 30);
  EXPECT_EQ(result.images, 4);
  ASSERT_EQ(result.rows.size(), 3U);
  EXPECT_NEAR(result.rows[1].share + result.rows[2].share, 1, 1e-12);
  const double step = result.rows[1].milliseconds + result.rows[2].milliseconds;
  for (const auto& row : result.rows) {
    EXPECT_GT(row.milliseconds, 0);
    EXPECT_NEAR(row.share, row.milliseconds / step, 1e-12);
  }
}
