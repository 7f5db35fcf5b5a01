#include "sdg/learn/power_averages.h"

#include "learn/lerp.h"
#include "sdg/average/profile.h"
#include "sdg/core/error.h"
#include "sdg/learn/state.h"

namespace sdg::learn {

PowerAverages::PowerAverages(const LearnerState& state) {
  const auto& options = state.config.average;
  if (!options.track) return;
  gammas_ = {average::gamma_of(options.narrow), average::gamma_of(options.wide)};
  const auto own = state.stepped();
  for (auto& each : averages_) each = at::zeros({own.size()}, state.flat.values().options());
}

void PowerAverages::follow(const LearnerState& state, const Tensor& bad) {
  if (!on()) return;
  const at::NoGradGuard no_grad;
  const auto own = state.stepped();
  const auto weights = state.flat.values().narrow(0, own.begin, own.size());
  gathered_ = {};
  for (size_t i = 0; i < averages_.size(); ++i)
    lerp_unless_bad(averages_[i], weights, 1 - average::kept_share(gammas_[i], state.steps_done + 1), bad);
}

void PowerAverages::gather(const LearnerState& state) {
  if (!on() || !state.sharded) return;
  for (size_t i = 0; i < averages_.size(); ++i)
    gathered_[i] = gather_on_first(averages_[i], state.slices, state.reducer);
}

const Tensor& PowerAverages::whole(const LearnerState& state, size_t which) const {
  if (!state.sharded) return averages_[which];
  SDG_ASSERT(gathered_[which].defined(), "averages lie on all ranks in parts: gather() first");
  return gathered_[which];
}

std::map<std::string, Tensor> PowerAverages::of_network(const LearnerState& state) const {
  std::map<std::string, Tensor> out;
  for (size_t i = 0; i < averages_.size() && on(); ++i) {
    const auto views = state.flat.views(whole(state, i));
    const auto ranges = state.flat.ranges();
    for (size_t j = 0; j < ranges.size(); ++j) {
      if (ranges[j].begin >= state.model_size || ranges[j].name.starts_with(network::kProjectorPrefix)) continue;
      out.emplace(cat(kNames[i], ".", ranges[j].name), views[j]);
    }
  }
  return out;
}

void PowerAverages::save(const LearnerState& state, tensors::TensorFile& file) const {
  for (size_t i = 0; i < averages_.size() && on(); ++i)
    for (auto& [name, view] : state.flat.named_views(whole(state, i)))
      file.tensors[cat("average.", kNames[i], ".", name)] = view;
}

void PowerAverages::load(const LearnerState& state, const tensors::TensorFile& file, const std::string& where) {
  const auto own = state.stepped();
  for (size_t i = 0; i < averages_.size() && on(); ++i) {
    auto all = state.sharded ? at::empty_like(state.flat.values(), at::kCPU) : averages_[i];
    for (auto& [name, view] : state.flat.named_views(all))
      restore(view, file, cat("average.", kNames[i], ".", name), where);
    if (state.sharded) averages_[i].copy_(all.narrow(0, own.begin, own.size()));
  }
}

}  // namespace sdg::learn
