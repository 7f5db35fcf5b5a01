#pragma once
#include <vector>

#include "checkpoint/run_figures.h"
#include "sdg/learn/step_result.h"
#include "sdg/recipe/options.h"

namespace sdg::run {

constexpr int64_t kPatience = 200;  ///< steps before clusters are judged, and between two judgements

/// Is a row of figures written after this step?
bool log_due(const recipe::TrainOptions& train, int64_t step);
/// Are figures read after this step on a device, where a reading waits for all steps so far? Where something is
/// written, said or decided. Conditions begin after step `change`.
bool reading_due(const recipe::TrainOptions& train, int64_t step, int64_t change);

/// Figures of steps whose end nobody has waited for, and how fast those steps were.
class UnreadFigures {
 public:
  void add(const learn::StepResult& result, int64_t images, double seconds);
  /// Reads all by one copy, smooths those of every step into `figures` in their order, and forgets them.
  void read(checkpoint::RunFigures& figures);
  /// Images a second of the steps read last, smoothed.
  double images_per_second() const { return rate_; }

 private:
  std::vector<learn::StepResult> results_;
  double images_ = 0, seconds_ = 0, rate_ = 0;
};

}  // namespace sdg::run
