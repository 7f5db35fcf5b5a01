#pragma once
#include <vector>

#include "sdg/learn/learner_state.h"
#include "sdg/learn/objective.h"
#include "sdg/learn/ordered_sum.h"

namespace sdg::learn {

/// The squared error of the network's prediction, mean over values and images (arXiv 2210.02747, eq. 9 on the straight
/// path; weighted by train.loss_on, see flow/loss_space.h). With an inner head the same of its prediction beside it,
/// with weight guided.inner_weight (Internal Guidance, arXiv 2512.24176), in one backward pass.
class FlowObjective : public Objective {
 public:
  /// `state` must outlive this.
  explicit FlowObjective(const LearnerState& state) : state_(state) {}

  std::string name() const override { return "flow"; }
  void begin(int64_t shards) override;
  void before_pass(Shard& shard) override;
  std::vector<Tensor> after_pass(Shard& shard) override;
  void take(const Shard& shard, std::vector<Tensor> computed) override;
  Contribution join(StepResult& result) override;

 private:
  // Of the inner head's loss; 0 where there is none.
  double inner_weight() const;

  const LearnerState& state_;
  OrderedSum sum_;                 // over the shards, their losses already divided by the batch
  std::vector<Figure> inner_;      // the inner head's part, of each shard
  std::vector<char> finite_data_;  // of each shard: was what is learned from finite
};

}  // namespace sdg::learn
