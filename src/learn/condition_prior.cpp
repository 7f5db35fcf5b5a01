#include "sdg/learn/condition_prior.h"

#include <algorithm>

#include "sdg/cluster/label_prior.h"
#include "sdg/core/error.h"
#include "sdg/learn/state.h"

namespace sdg::learn {
namespace {

// The conditions of the last few hundred steps decide: older ones come from clusters that have moved since.
constexpr double kDecay = 0.99;
// Cluster maps kept for sampling at patch level.
constexpr int64_t kMaps = 512;

}  // namespace

ConditionPrior::ConditionPrior(int64_t classes, int64_t patches) {
  if (classes > 0) counts_ = at::zeros({classes}, at::kDouble);
  if (patches > 0) maps_ = at::zeros({kMaps, patches}, at::kInt);
}

void ConditionPrior::count_all(const Tensor& ids) {
  counts_ = at::bincount(ids.cpu(), {}, counts_.defined() ? counts_.size(0) : 0).to(at::kDouble);
}

void ConditionPrior::see(const Tensor& on_device, Reducer& reducer) {
  const auto own = on_device.cpu();
  counts_.mul_(kDecay);
  counts_ += cluster::label_counts(own, counts_.size(0), reducer);
  if (!maps_.defined()) return;
  const auto ids = reducer.all_gather(own);  // [B, L]
  for (int64_t i = 0; i < ids.size(0); ++i) maps_[maps_seen_++ % maps_.size(0)].copy_(ids[i]);
}

void ConditionPrior::see_unless(const Tensor& bad, const Tensor& ids) {
  const at::NoGradGuard no_grad;
  counts_ = counts_.to(ids.device());
  // Whole numbers: the order in which they are added up changes nothing.
  const auto flat = ids.flatten();
  auto now = counts_ * kDecay;
  now += at::zeros_like(counts_).index_add_(0, flat, at::ones({flat.size(0)}, counts_.options()));
  counts_ = at::where(bad, counts_, now);
  seen_before_.push_back(maps_seen_);
  if (!maps_.defined()) return;
  maps_ = maps_.to(ids.device());
  const auto rows = ids.slice(0, std::max<int64_t>(0, ids.size(0) - kMaps)).to(at::kInt);  // of many, the last stay
  const auto place = (maps_seen_ + ids.size(0) - rows.size(0) + at::arange(rows.size(0), ids.options())) % kMaps;
  maps_.index_copy_(0, place, at::where(bad, maps_.index_select(0, place), rows));
  maps_seen_ += ids.size(0);
}

void ConditionPrior::settled(size_t undone) {
  const auto known = seen_before_.size();
  if (undone > 0 && known > 0) maps_seen_ = seen_before_[known - std::min(known, undone)];
  seen_before_.clear();
}

Tensor ConditionPrior::value() const {
  if (!counts_.defined()) return {};
  if (maps_.defined()) return maps_.slice(0, 0, std::min(kMaps, maps_seen_)).to(at::kCPU, at::kLong);
  const auto counts = counts_.cpu();
  const auto total = counts.sum().item<double>();
  return total > 0 ? counts / total : at::full_like(counts, 1.0 / static_cast<double>(counts.size(0)));
}

void ConditionPrior::save(tensors::TensorFile& file) const {
  if (counts_.defined()) file.tensors["prior"] = counts_;
  if (!maps_.defined()) return;
  file.tensors["maps"] = maps_;
  file.metadata["maps_seen"] = std::to_string(maps_seen_);
}

void ConditionPrior::load(const tensors::TensorFile& file, const std::string& where) {
  if (counts_.defined()) restore(counts_, file, "prior", where);
  if (!maps_.defined()) return;
  restore(maps_, file, "maps", where);
  maps_seen_ = std::stoll(file.metadata.at("maps_seen"));
}

}  // namespace sdg::learn
