#pragma once
#include <limits>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::checkpoint {

/// Smoothed losses of a run, and the lowest that a scheduled checkpoint had.
class RunFigures {
 public:
  void follow(double loss);
  double smooth_loss() const { return loss_sum_ / loss_weight_; }
  void follow_clusters(double loss);
  double cluster_loss() const { return cluster_loss_; }
  /// Is the smoothed loss the lowest so far? Then it is remembered as that.
  bool is_best();
  /// Is the lowest loss that of now?
  bool at_best() const { return smooth_loss() == best_loss_; }
  bool has_best() const { return best_loss_ < std::numeric_limits<double>::infinity(); }
  bool same_best(const RunFigures& other) const { return best_loss_ == other.best_loss_; }
  /// The next scheduled checkpoint is the best then.
  void forget_best() { best_loss_ = std::numeric_limits<double>::infinity(); }

  /// double [4], for checkpoints.
  Tensor state() const;
  void restore(const Tensor& state, const std::string& where);

 private:
  double loss_sum_ = 0, loss_weight_ = 0, best_loss_ = std::numeric_limits<double>::infinity(), cluster_loss_ = 0;
};

}  // namespace sdg::checkpoint
