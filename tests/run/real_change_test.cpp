// What follows the step at which conditions begin follows the one that came, not the configured one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tiny_run.h"

using namespace sdg;
using ::testing::Each;
using ::testing::ElementsAre;

namespace {

class RealChange : public ::testing::Test {
 protected:
  RealChange() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }
  // Weight of the clustering loss of each step, from the first one done here.
  std::vector<double> weights(const recipe::RunConfig& config, const std::string& run, int64_t last = 0) const {
    std::vector<double> out;
    run::Observer observer;
    observer.on_step = [&](const run::StepReport& report) {
      out.push_back(report.result.cluster_weight);
      done_ = report.step;
    };
    observer.stop = [&] { return last > 0 && done_ >= last; };
    run::train(config, checkpoint::RunFolder(folder_ / run), observer);
    return out;
  }
  std::vector<int64_t> clustered_at(const recipe::RunConfig& config, const std::string& run, int64_t last = 0) const {
    std::vector<int64_t> out;
    run::Observer observer;
    observer.on_step = [&](const run::StepReport& report) { done_ = report.step; };
    observer.on_event = [&](const std::string& line) {
      if (line.find("clustered anew") != std::string::npos) out.push_back(std::stoll(line.substr(5)));
    };
    observer.stop = [&] { return last > 0 && done_ >= last; };
    run::train(config, checkpoint::RunFolder(folder_ / run), observer);
    return out;
  }
  int64_t change_of(const std::string& run) const {
    return std::stoll(
        tensors::read_tensor_header(checkpoint::RunFolder(folder_ / run).last()).metadata.at("change_step"));
  }

  const test::TemporaryFolder folder_;
  const std::filesystem::path data_;
  mutable int64_t done_ = 0;
};

}  // namespace

// 40 images, 128 a step: in the first step each is seen three times, by one and the same teacher.
TEST_F(RealChange, NeedsLooksOfTwoStepsAlsoWhereABatchIsMoreThanTheDataSet) {
  auto config = test::tiny_config(data_);
  config.train.batch = 128;
  config.train.shard = 64;
  config.train.steps = 5;
  config.condition.change = 1;
  config.condition.stable = 0.01;
  weights(config, "run");
  EXPECT_EQ(change_of("run"), 2);
}

TEST_F(RealChange, EndsTheRampOfTheClusteringLoss) {
  auto config = test::tiny_config(data_);
  config.train.steps = 16;
  config.cluster.ramp = true;
  config.condition.change = 0.9;
  config.condition.stable = 0.01;
  const auto ramp = weights(config, "early");
  ASSERT_EQ(change_of("early"), 10);
  EXPECT_DOUBLE_EQ(ramp[7], 7.0 / 14);
  EXPECT_THAT(std::vector<double>(ramp.begin() + 10, ramp.end()), Each(config.cluster.weight));
}

TEST_F(RealChange, ThatCameStaysWhereARunGoesOnForLonger) {
  auto config = test::tiny_config(data_);
  config.cluster.ramp = true;
  weights(config, "longer", 6);  // conditions began at 4
  config.train.steps = 100;
  const auto after = weights(config, "longer", 12);
  EXPECT_EQ(after.size(), 6);
  EXPECT_THAT(after, Each(config.cluster.weight));
}

TEST_F(RealChange, IsWhereClusteringAgainIsCountedFrom) {
  auto config = test::tiny_config(data_, "recluster");
  config.condition.change = 0.3;
  EXPECT_THAT(clustered_at(config, "run", 6), ElementsAre(3, 4, 5));
  config.train.steps = 20;  // every second step now; conditions would begin at 6
  EXPECT_THAT(clustered_at(config, "run", 12), ElementsAre(7, 9, 11));
}
