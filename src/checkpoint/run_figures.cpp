#include "checkpoint/run_figures.h"

#include "sdg/core/error.h"

namespace sdg::checkpoint {
namespace {
constexpr double kKeep = 0.98;
constexpr const char* kProtocol = "lowest_fd_protocol";
}  // namespace

void RunFigures::follow(double loss) {
  loss_sum_ = kKeep * loss_sum_ + (1 - kKeep) * loss;
  loss_weight_ = kKeep * loss_weight_ + (1 - kKeep);
}

void RunFigures::follow_clusters(double loss) {
  cluster_loss_ = cluster_loss_ == 0 ? loss : kKeep * cluster_loss_ + 0.02 * loss;
}

bool RunFigures::measured(double distance, int64_t step) {
  if (!(distance < lowest_)) return false;
  lowest_ = distance;
  lowest_step_ = step;
  return true;
}

void RunFigures::forget_lowest() {
  lowest_ = std::numeric_limits<double>::infinity();
  lowest_step_ = -1;
}

bool RunFigures::measure_by(const std::string& protocol) {
  const bool forgets = has_lowest() && protocol != protocol_;
  if (forgets) forget_lowest();
  protocol_ = protocol;
  return forgets;
}

void RunFigures::save(tensors::TensorFile& file) const {
  file.tensors["figures"] =
      at::tensor({loss_sum_, loss_weight_, cluster_loss_, lowest_, static_cast<double>(lowest_step_)}, at::kDouble);
  if (has_lowest()) file.metadata[kProtocol] = protocol_;
}

void RunFigures::load(const tensors::TensorFile& file, const std::string& where) {
  const auto& state = file.at("figures", where);
  constexpr int64_t kEarlier = 4, kNow = 5;
  SDG_CHECK((state.numel() == kNow || state.numel() == kEarlier) && state.scalar_type() == at::kDouble, where,
            ": figures must be 5 doubles (of earlier versions 4)");
  const auto* values = state.const_data_ptr<double>();
  loss_sum_ = values[0];
  loss_weight_ = values[1];
  forget_lowest();
  if (state.numel() == kEarlier) {
    cluster_loss_ = values[3];
    return;
  }
  cluster_loss_ = values[2];
  lowest_ = values[3];
  lowest_step_ = static_cast<int64_t>(values[4]);
  const auto protocol = file.metadata.find(kProtocol);
  protocol_ = protocol == file.metadata.end() ? "" : protocol->second;
}

std::string settle_lowest(const RunFolder& folder, const Recovery& recovery, RunFigures& figures) {
  if (!figures.has_lowest()) return {};
  if (figures.lowest_step() == recovery.step) {
    if (recovery.lowest_step != recovery.step) folder.make_lowest_fd(recovery.checkpoint);
    return {};
  }
  if (recovery.lowest_step >= 0) return {};
  const auto again = sound_numbered(folder, figures.lowest_step());
  if (again) {
    folder.make_lowest_fd(*again);
  } else {
    figures.forget_lowest();
  }
  return cat(folder.lowest_fd().string(), " is lost: ", again ? again->filename().string() : "the next one measured",
             " takes its place");
}

}  // namespace sdg::checkpoint
