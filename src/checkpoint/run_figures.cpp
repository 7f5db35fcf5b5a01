#include "checkpoint/run_figures.h"

#include "sdg/core/error.h"

namespace sdg::checkpoint {
namespace {
constexpr double kKeep = 0.98;
}

void RunFigures::follow(double loss) {
  loss_sum_ = kKeep * loss_sum_ + (1 - kKeep) * loss;
  loss_weight_ = kKeep * loss_weight_ + (1 - kKeep);
}

void RunFigures::follow_clusters(double loss) {
  cluster_loss_ = cluster_loss_ == 0 ? loss : kKeep * cluster_loss_ + 0.02 * loss;
}

bool RunFigures::is_best() {
  if (!(smooth_loss() < best_loss_)) return false;
  best_loss_ = smooth_loss();
  return true;
}

Tensor RunFigures::state() const {
  return at::tensor({loss_sum_, loss_weight_, best_loss_, cluster_loss_}, at::kDouble);
}

void RunFigures::restore(const Tensor& state, const std::string& where) {
  SDG_CHECK(state.numel() == 4 && state.scalar_type() == at::kDouble, where, ": figures must be 4 doubles");
  const auto* values = state.const_data_ptr<double>();
  loss_sum_ = values[0];
  loss_weight_ = values[1];
  best_loss_ = values[2];
  cluster_loss_ = values[3];
}

}  // namespace sdg::checkpoint
