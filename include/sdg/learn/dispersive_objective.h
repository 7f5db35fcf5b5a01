#pragma once
#include <vector>

#include "sdg/learn/learner_state.h"
#include "sdg/learn/objective.h"
#include "sdg/learn/ordered_sum.h"

namespace sdg::learn {

/// The dispersive loss (arXiv 2506.09027, InfoNCE form with the squared distance): features of different images are
/// pushed apart, without any that belong together,
///
///   log (1/n^2) sum_ij exp(-|z_i - z_j|^2 / F)
///
/// with z [n, F] the patch tokens after the middle block of the flow loss's pass, side by side. n are the images of one
/// shard (train.shard), each on its own thread; the step's loss is the mean over its images. Weight train.dispersive.
class DispersiveObjective : public Objective {
 public:
  /// `state` must outlive this.
  explicit DispersiveObjective(const LearnerState& state) : state_(state) {}

  std::string name() const override { return "dispersive"; }
  void begin(int64_t shards) override;
  void before_pass(Shard& shard) override;
  std::vector<Tensor> after_pass(Shard& shard) override;
  void take(const Shard& shard, std::vector<Tensor> computed) override;
  Contribution join(StepResult& result) override;

 private:
  const LearnerState& state_;
  OrderedSum sum_;
  std::vector<size_t> asked_;  // which of the shard's all_features is ours
};

/// The loss of features z [n, F], a scalar.
Tensor dispersive_loss(const Tensor& z);

}  // namespace sdg::learn
