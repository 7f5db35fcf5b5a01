#pragma once
#include "sdg/flow/prediction_table.h"
#include "sdg/learn/learner_state.h"
#include "sdg/learn/objective.h"

namespace sdg::learn {

/// Guidance that training puts into the network (guided.learn), as what the network is asked to predict. Predictions of
/// one kind are affine in one another, so that what holds of velocities holds of them. Nothing changes before
/// conditions begin and before guided.start, nor for images whose condition is dropped.
class GuidedTarget {
 public:
  /// `state` must outlive this.
  explicit GuidedTarget(const LearnerState& state) : state_(state) {}

  /// Does it in the step that comes next?
  bool active() const { return learns(recipe::LearnGuidance::kGft) || learns(recipe::LearnGuidance::kMg); }

  /// What the shard's images are told of the strength, b [n]: Draws::strength, and 1 where the condition is dropped.
  /// Undefined where the network is told none.
  Tensor strength(const Shard& shard) const;
  /// Changes shard.point, under the condition that the network is given there. Asks the trained network (gft) or the
  /// average (mg), without gradient.
  void aim(Shard& shard, const model::Condition& condition) const;

 private:
  bool learns(recipe::LearnGuidance how) const;

  const LearnerState& state_;
};

/// GFT (arXiv 2501.15420): the loss |b v + (1 - b) v_0 - u|^2, with v_0 the prediction without condition, is b^2 |v -
/// u'|^2 with u' = (u - (1 - b) v_0) / b. unconditional [N, C, S, S], strength b [N] in (0, 1].
///
/// Its optimum is v = v_0 + (E[u | c] - v_0) / b: guidance of w = 1 / b.
flow::TrainingPoint aimed_with_strength(flow::TrainingPoint point, const Tensor& unconditional, const Tensor& strength);

/// MG (arXiv 2502.12154): the target u + k (v~_c - v~_0), v~ the averaged network's predictions with and without
/// condition; k [N] is 0 where the condition is dropped, else 1 - 1 / scale.
///
/// Where v~ = v, its optimum is v_c = v_0 + (E[u | c] - v_0) / (1 - k): guidance of `scale`.
flow::TrainingPoint aimed_at_guided(flow::TrainingPoint point, const Tensor& conditional, const Tensor& unconditional,
                                    const Tensor& k);

}  // namespace sdg::learn
