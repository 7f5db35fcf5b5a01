#include "sdg/network/stored_conditions.h"

#include <algorithm>

#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::network {
namespace {

constexpr int64_t kFewest = 16;
constexpr int64_t kBytes = int64_t{64} << 20;

Tensor picked(const Tensor& all, const Tensor& rows) {
  return all.defined() ? all.index_select(0, rows) : Tensor();
}

int64_t row_bytes(const Tensor& all) {
  return all.defined() ? static_cast<int64_t>(all.nbytes()) / std::max<int64_t>(1, all.size(0)) : 0;
}

}  // namespace

int64_t StoredConditions::rows() const {
  return values.defined() ? values.size(0) : maps.size(0);
}

model::ConditionKind StoredConditions::kind() const {
  if (!values.defined()) return model::ConditionKind::kMap;
  return values.dim() == 1   ? model::ConditionKind::kIndex
         : values.dim() == 2 ? model::ConditionKind::kVector
                             : model::ConditionKind::kPatchVector;
}

int64_t StoredConditions::width() const {
  return values.defined() && values.dim() > 1 ? values.size(-1) : 0;
}

Tensor StoredConditions::frequencies() const {
  if (clusters.defined()) return clusters.ge(0).to(at::kDouble);
  return weights.defined() ? weights : at::ones({rows()}, at::kDouble);
}

Tensor StoredConditions::rows_for(const Tensor& ids, const rng::Stream& stream,
                                  const std::vector<int64_t>& samples) const {
  if (!neighbours.defined()) return ids;
  const auto own = ids.cpu();
  const auto k = neighbours.size(1);
  const auto which = (rng::uniform(stream, samples, {}).to(at::kDouble) * static_cast<double>(k)).to(at::kLong);
  return neighbours.index_select(0, own).gather(1, which.clamp_max(k - 1).unsqueeze(1)).squeeze(1).to(ids.device());
}

model::Condition StoredConditions::of(const Tensor& ids, const Tensor& drop) const {
  const auto rows = ids.cpu();
  const auto device = drop.defined() ? drop.device() : ids.device();
  auto map = picked(maps, rows);
  if (map.defined() && map.scalar_type() == at::kByte && map.dim() == 3)
    map = at::one_hot(map.to(at::kLong).clamp_max(map_channels), map_channels + 1)
              .slice(3, 0, map_channels)
              .permute({0, 3, 1, 2});  // [N, M, S, S]
  if (map.defined()) map = to_device(map.to(at::kFloat), device);
  auto value = picked(values, rows);
  if (value.defined()) value = to_device(value.is_floating_point() ? value.to(at::kFloat) : value, device);
  return model::Condition::given(value, drop, map);
}

StoredConditions StoredConditions::some() const {
  const auto bytes = std::max<int64_t>(1, row_bytes(values) + row_bytes(maps));
  const auto count = std::min(rows(), std::max(kFewest, kBytes / bytes));
  auto chosen = rng::permutation({0, rng::Purpose::kSubset, 0}, rows());
  chosen.resize(static_cast<size_t>(count));
  std::sort(chosen.begin(), chosen.end());
  const auto index = at::tensor(chosen, at::kLong);
  const auto told = rows_for(index, {0, rng::Purpose::kNeighbour, 0}, chosen);
  return {picked(values, told), picked(maps, told), classes, map_channels, picked(weights, index)};
}

}  // namespace sdg::network
