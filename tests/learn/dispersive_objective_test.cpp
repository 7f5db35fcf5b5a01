// An objective beside the flow loss: its value and gradient against a pair by pair twin, and what it does to features.
#include "sdg/learn/dispersive_objective.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/rng.h"
#include "sdg/learn/learner.h"
#include "support/made_batch.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

learn::StepResult step_with(double weight, int64_t shard = 32) {
  auto config = test::tiny_config("unused", "none");
  config.train.dispersive = weight;
  config.train.shard = shard;
  config.train.clip = 0;
  return learn::Learner(config, at::kCPU, {}, 0).step(test::made_batch());
}

double pair_by_pair(const Tensor& z) {
  const auto rows = z.to(at::kDouble);
  double sum = 0;
  for (int64_t i = 0; i < rows.size(0); ++i)
    for (int64_t j = 0; j < rows.size(0); ++j)
      sum += std::exp(-(rows[i] - rows[j]).square().sum().item<double>() / static_cast<double>(rows.size(1)));
  return std::log(sum / static_cast<double>(rows.size(0) * rows.size(0)));
}

}  // namespace

TEST(DispersiveLoss, IsTheSumOverPairs) {
  const auto z = rng::normal({1, rng::Purpose::kTest, 0}, rng::consecutive(0, 6), {10});
  EXPECT_NEAR(learn::dispersive_loss(z).item<double>(), pair_by_pair(z), 1e-6);
  EXPECT_NEAR(learn::dispersive_loss(at::ones({4, 3})).item<double>(), 0, 1e-6) << "equal rows: nothing is apart";
}

TEST(DispersiveObjective, AddsItsWeightToWhatIsMinimisedAndLeavesTheFlowLoss) {
  const auto none = step_with(0), half = step_with(0.5), whole = step_with(1);
  EXPECT_EQ(none.flow_loss, whole.flow_loss);
  EXPECT_LT(whole.dispersive_loss, 0);
  EXPECT_NEAR(half.dispersive_loss, whole.dispersive_loss, 1e-9);
  EXPECT_NEAR(whole.objective, whole.flow_loss + whole.dispersive_loss, 1e-9);
  const auto once = half.gradient - none.gradient, twice = whole.gradient - none.gradient;
  EXPECT_GT(once.abs().max().item<double>(), 1e-6);
  EXPECT_LT((twice - 2 * once).abs().max().item<double>(), 1e-6) << "the gradient is linear in the weight";
}

TEST(DispersiveObjective, ComparesImagesOfOneShardOnly) {
  EXPECT_NE(step_with(1, 4).dispersive_loss, step_with(1, 8).dispersive_loss);
  EXPECT_NEAR(step_with(1, 1).dispersive_loss, 0, 1e-5) << "an image alone has nothing to be apart from";
}
