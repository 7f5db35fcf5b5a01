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
/// flow loss's pass, projected by a network of their own, against an outside network's features of the image without
/// noise,
///
///   - (1/L) sum_l cos(project(h_l), y_l)
///
/// mean over the images, with weight align.weight. Where the outside network has one feature an image, the projection
/// of the tokens' mean is aligned with it.
class AlignmentObjective : public Objective {
 public:
  /// `state`, whose networks must have projectors onto the target's width, must outlive this. Throws UsageError where
  /// the block's tokens are no square and the target has places.
  AlignmentObjective(const LearnerState& state, std::shared_ptr<const AlignmentTarget> target);

  std::string name() const override { return "alignment"; }
  bool active() const override { return state_.config.align.weight > 0; }
  void begin(int64_t shards) override;
  void before_pass(Shard& shard) override;
  void after_pass(Shard& shard) override;
  Contribution join(StepResult& result) override;

 private:
  const LearnerState& state_;
  std::shared_ptr<const AlignmentTarget> target_;
  int64_t depth_, side_;
  OrderedSum sum_;
  std::vector<size_t> asked_;  // which of the shard's all_features is ours
};

}  // namespace sdg::learn
