#pragma once
#include <string>

#include "sdg/recipe/run_config.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// From which step on the head learns, from which on the network gets conditions, and from which on clusters rest.
/// Steps count from 0.
class Beginnings {
 public:
  explicit Beginnings(const recipe::RunConfig& config);

  /// Does the step after `steps_done` give conditions, and does it train the head?
  bool conditioned(int64_t steps_done) const { return conditions_possible_ && steps_done >= conditions_; }
  bool clustering(int64_t steps_done) const { return online_ && steps_done >= head_; }

  /// Do clusters rest in that step (cluster.end)?
  bool resting(int64_t steps_done) const { return rest_ >= 0 && steps_done >= rest_; }

  int64_t head() const { return head_; }
  /// As far as known: with condition.stable it may still come earlier.
  int64_t conditions() const { return conditions_; }
  /// Conditions begin with the step after `steps_done`, before their time: clusters hold still.
  void begin_now(int64_t steps_done);

  void save(tensors::TensorFile& file, int64_t steps_done) const;
  /// What has begun stays where it began, also if the run goes on for another number of steps; what has not cannot
  /// begin in the past. Throws Error, beginning with `where`, for metadata that is no number.
  void load(const tensors::TensorFile& file, const std::string& where, int64_t steps_done);

 private:
  bool conditions_possible_, online_;
  int64_t head_, conditions_;
  int64_t rest_;  // -1: never
  bool came_early_ = false;
};

}  // namespace sdg::learn
