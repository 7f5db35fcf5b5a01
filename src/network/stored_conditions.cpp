#include "sdg/network/stored_conditions.h"

#include <algorithm>

#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::network {
namespace {

constexpr int64_t kRows = 512, kFewest = 16;
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

model::Condition StoredConditions::of(const Tensor& ids, const Tensor& drop) const {
  const auto rows = ids.cpu();
  const auto device = drop.defined() ? drop.device() : ids.device();
  auto map = picked(maps, rows);
  if (map.defined() && map.scalar_type() == at::kByte)
    map = at::one_hot(map.to(at::kLong), map_channels).permute({0, 3, 1, 2});  // [N, M, S, S]
  if (map.defined()) map = to_device(map.to(at::kFloat), device);
  auto value = picked(values, rows);
  if (value.defined()) value = to_device(value, device);
  return model::Condition::given(value, drop, map);
}

StoredConditions StoredConditions::some() const {
  const auto bytes = std::max<int64_t>(1, row_bytes(values) + row_bytes(maps));
  const auto count = std::min(rows(), std::clamp(kBytes / bytes, kFewest, kRows));
  auto chosen = rng::permutation({0, rng::Purpose::kSubset, 0}, rows());
  chosen.resize(static_cast<size_t>(count));
  std::sort(chosen.begin(), chosen.end());
  const auto index = at::tensor(chosen, at::kLong);
  return {picked(values, index), picked(maps, index), classes, map_channels};
}

}  // namespace sdg::network
