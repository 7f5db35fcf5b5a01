#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sdg/learn/learner_state.h"
#include "sdg/learn/objective.h"
#include "sdg/learn/ordered_sum.h"

namespace sdg::learn {

/// An outside network whose features those of the trained one are aligned with.
struct AlignmentTarget {
  std::string name;    ///< for messages
  int64_t width = 0;   ///< Z
  bool places = true;  ///< has each place of an image its own feature
  /// Images x [n, C, S, S] as training sees them, pixels in [-1, 1] -> float [n, side * side, Z], places row by row, or
  /// without `places` [n, 1, Z]. A function of each image alone; called from any thread.
  std::function<Tensor(const Tensor& x, int64_t side)> features;
};

/// The alignment of REPA (Yu et al., 2025, arXiv 2410.06940, equation 8): tokens after the block align.depth of the
/// flow loss's pass, projected by a network of their own, against features,
///
///   - (1/L) sum_l cos(project(h_l), y_l)
///
/// mean over the images, with weight align.weight. Where there is one feature an image, the projection of the tokens'
/// mean is aligned with it. What the features are: see the two makers below.
class AlignmentObjective : public Objective {
 public:
  /// Features of a shard's images, [n, L, Z] or [n, 1, Z], without gradient; called from any thread.
  using FeaturesFn = std::function<Tensor(const Shard& shard)>;
  /// `state`, whose networks must have projectors onto the features' width, must outlive this.
  AlignmentObjective(const LearnerState& state, FeaturesFn features);

  std::string name() const override { return "alignment"; }
  bool active() const override { return state_.config.align.weight > 0; }
  void begin(int64_t shards) override;
  void before_pass(Shard& shard) override;
  std::vector<Tensor> after_pass(Shard& shard) override;
  void take(const Shard& shard, std::vector<Tensor> computed) override;
  Contribution join(StepResult& result) override;

 private:
  const LearnerState& state_;
  FeaturesFn features_;
  int64_t depth_;
  OrderedSum sum_;
  std::vector<size_t> asked_;  // which of the shard's all_features is ours
};

/// With an outside network's features of the image without noise. Throws UsageError where the block's tokens are no
/// square and the target has places.
std::unique_ptr<AlignmentObjective> align_with(const LearnerState& state,
                                               std::shared_ptr<const AlignmentTarget> target);

/// With the network's own average (SRA, arXiv 2505.02831): its tokens after the block align.target_depth, of the same
/// image through the same noise at min(t + shift, 1), shift from U(0, align.shift), without condition. Unlike there the
/// projection has three layers and the loss is the cosine.
std::unique_ptr<AlignmentObjective> align_with_itself(const LearnerState& state);

}  // namespace sdg::learn
