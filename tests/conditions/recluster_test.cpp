#include "sdg/conditions/recluster.h"

#include <gtest/gtest.h>

#include "support/tiny_run.h"

using namespace sdg;

TEST(KeepNumbers, UndoesARenaming) {
  const auto before = at::tensor({0, 0, 1, 1, 2, 2, 3, 3}, at::kLong);
  const auto names = at::tensor({2, 0, 3, 1}, at::kLong);
  EXPECT_TRUE(at::equal(conditions::keep_numbers(names.index_select(0, before), before, 4), before));
}

TEST(KeepNumbers, KeepsAsManyImagesAsPossibleAndThePartitionAsItIs) {
  const auto before = at::tensor({0, 0, 0, 1, 1, 1}, at::kLong);
  const auto now = at::tensor({1, 1, 0, 0, 0, 0}, at::kLong);
  EXPECT_TRUE(at::equal(conditions::keep_numbers(now, before, 2), at::tensor({0, 0, 1, 1, 1, 1}, at::kLong)));
}

TEST(Recluster, IsDueAtTheChangeAndRegularlyAfter) {
  recipe::RunConfig config;
  config.condition.source = recipe::Source::kRecluster;
  config.train.steps = 100;
  config.condition.recluster = 0.25;
  const auto due = [&](int64_t first) {
    std::vector<int64_t> out;
    for (int64_t step = 0; step < 100; ++step) {
      if (conditions::recluster_due(config, first, step)) out.push_back(step);
    }
    return out;
  };
  EXPECT_EQ(due(30), (std::vector<int64_t>{30, 55, 80}));
  EXPECT_EQ(due(60), (std::vector<int64_t>{60, 85})) << "the change that came, whatever is configured";
  config.condition.source = recipe::Source::kOnline;
  EXPECT_FALSE(conditions::recluster_due(config, 30, 30));
}
