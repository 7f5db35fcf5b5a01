#include "run/unread_figures.h"

namespace sdg::run {

bool log_due(const recipe::TrainOptions& train, int64_t step) {
  return step == 1 || step % train.log_every == 0 || step == train.steps;
}

bool reading_due(const recipe::TrainOptions& train, int64_t step, int64_t change) {
  return log_due(train, step) || step % kPatience == 0 || step == change || step % train.save_every == 0;
}

void UnreadFigures::add(const learn::StepResult& result, int64_t images, double seconds) {
  results_.push_back(result);
  auto& kept = results_.back();  // numbers only: gradients and assignments of many steps would fill the device
  kept.gradient = kept.ids = Tensor();
  if (kept.sinkhorn) kept.sinkhorn->assignments = Tensor();
  images_ += static_cast<double>(images);
  seconds_ += seconds;
}

void UnreadFigures::read(checkpoint::RunFigures& figures) {
  if (results_.empty()) return;
  std::vector<const Figure*> all;
  for (const auto& result : results_) {
    all.push_back(&result.flow_loss);
    if (result.sinkhorn) all.push_back(&result.cluster_loss);
  }
  Figure::read(all);
  for (const auto& result : results_) {
    figures.follow(result.flow_loss);
    if (result.sinkhorn) figures.follow_clusters(result.cluster_loss);
  }
  results_.clear();
  const double rate = images_ / seconds_;
  rate_ = rate_ > 0 ? 0.9 * rate_ + 0.1 * rate : rate;
  images_ = seconds_ = 0;
}

}  // namespace sdg::run
