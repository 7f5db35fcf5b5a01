#include "sdg/model/condition.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::model {

Tensor resolve_index(const Condition& condition, int64_t classes, int64_t null_row, int64_t count,
                     const at::Device& device, std::string_view where) {
  const bool given = condition.mode == Condition::Mode::kGiven;
  SDG_CHECK(null_row >= 0 || (given && !condition.drop.defined()), where,
            ": this network has no null label, so every image needs its label");
  if (!given) return at::full({count}, null_row, at::TensorOptions(device).dtype(at::kLong));
  check_shape(condition.value, {count}, cat(where, ": condition.value"));
  SDG_CHECK(condition.value.scalar_type() == at::kLong, where, ": condition.value must be int64 indices, got ",
            condition.value.scalar_type());
  // On an accelerator the look-up itself checks the range: reading the extremes here would wait for the device.
  if (condition.value.is_cpu() && count > 0) {
    const auto values = condition.value.contiguous();
    const auto* first = values.const_data_ptr<int64_t>();
    const auto [low, high] = std::minmax_element(first, first + count);
    SDG_CHECK(*low >= 0 && *high < std::max(classes, null_row + 1), where, ": indices must lie in 0..", classes - 1,
              ", got ", *low, "..", *high);
  }
  if (!condition.drop.defined()) return condition.value;
  check_shape(condition.drop, {count}, cat(where, ": condition.drop"));
  return condition.value.masked_fill(condition.drop, null_row);
}

Tensor resolve_vector(const Condition& condition, const Tensor& null, const Tensor& unconditional, int64_t count,
                      int64_t patches, std::string_view where) {
  if (condition.mode == Condition::Mode::kUnconditional) return unconditional;
  if (condition.mode == Condition::Mode::kNull) return null;
  const auto dim = null.size(-1);
  auto value = condition.value;  // [N, D] or [N, L, D]
  if (patches == 0) {
    check_shape(value, {count, dim}, cat(where, ": condition.value"));
    value = value.unsqueeze(1);
  } else {
    check_shape(value, {count, patches, dim}, cat(where, ": condition.value"));
  }
  if (!condition.drop.defined()) return value;
  auto drop = condition.drop;
  if (drop.dim() == 1) {
    check_shape(drop, {count}, cat(where, ": condition.drop"));
    drop = drop.unsqueeze(1);
  } else {
    check_shape(drop, {count, value.size(1)}, cat(where, ": condition.drop"));
  }
  return at::where(drop.unsqueeze(2), null, value);
}

Tensor resolve_map(const Condition& condition, const Tensor& null, int64_t channels, int64_t count,
                   std::string_view where) {
  const auto side = null.size(-1);
  const auto empty = null.expand({count, channels, side, side});
  if (condition.mode != Condition::Mode::kGiven) return empty;
  SDG_CHECK(condition.map.defined(), where, ": this network needs a map of ", channels, " channels, and got none");
  check_shape(condition.map, {count, channels, side, side}, cat(where, ": condition.map"));
  if (!condition.drop.defined()) return condition.map;
  check_shape(condition.drop, {count}, cat(where, ": condition.drop"));
  return at::where(condition.drop.view({count, 1, 1, 1}), empty, condition.map);
}

}  // namespace sdg::model
