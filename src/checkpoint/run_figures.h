#pragma once
#include <limits>
#include <string>

#include "sdg/checkpoint/recovery.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::checkpoint {

/// Smoothed losses of a run, and the lowest distance that was measured while it trained (eval.every).
class RunFigures {
 public:
  void follow(double loss);
  double smooth_loss() const { return loss_sum_ / loss_weight_; }
  void follow_clusters(double loss);
  double cluster_loss() const { return cluster_loss_; }

  /// A distance was measured at `step`. Is it the lowest so far? Then it is remembered as that.
  bool measured(double distance, int64_t step);
  bool has_lowest() const { return lowest_ < std::numeric_limits<double>::infinity(); }
  double lowest() const { return lowest_; }
  int64_t lowest_step() const { return lowest_step_; }
  /// The next measurement is the lowest then.
  void forget_lowest();
  /// Measurements are made by the protocol of that id from here on: those of another do not compare. Returns whether
  /// a lowest one was forgotten for it.
  bool measure_by(const std::string& protocol);

  void save(tensors::TensorFile& file) const;
  /// Also of earlier versions, whose lowest smoothed loss nobody asks for any more. Throws Error, beginning with
  /// `where`, for what is none.
  void load(const tensors::TensorFile& file, const std::string& where);

 private:
  double loss_sum_ = 0, loss_weight_ = 0, cluster_loss_ = 0;
  double lowest_ = std::numeric_limits<double>::infinity();
  int64_t lowest_step_ = -1;
  std::string protocol_;  // by which it was measured
};

/// Before a run goes on from `recovery`, with its figures: makes the checkpoint of the lowest distance `lowest_fd`
/// where a kill prevented that, and where it is lost looks for it among the numbered ones, else forgets it. Returns a
/// line on what was lost; empty where nothing was.
std::string settle_lowest(const RunFolder& folder, const Recovery& recovery, RunFigures& figures);

}  // namespace sdg::checkpoint
