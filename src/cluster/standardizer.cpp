#include "sdg/cluster/standardizer.h"

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {

Standardizer Standardizer::fit(const Tensor& x) {
  check_shape(x, {-1, -1}, "Standardizer: x");
  SDG_CHECK(x.size(0) >= 1, "Standardizer: x needs at least one row");
  // Columns one after the other in float64 would be exact but slow; blocks of columns bound the memory of the cast.
  constexpr int64_t kBlock = 64;
  const auto options = at::TensorOptions(x.device()).dtype(at::kFloat);
  Standardizer result{at::empty({x.size(1)}, options), at::empty({x.size(1)}, options)};
  for (int64_t begin = 0; begin < x.size(1); begin += kBlock) {
    const auto raw = x.slice(1, begin, begin + kBlock);
    const auto columns = raw.to(at::kDouble);
    const auto mean = columns.mean(0);
    const auto deviation = (columns - mean).square().mean(0).sqrt();
    const auto constant = (raw.amax(0) == raw.amin(0)).logical_or(deviation == 0);
    result.mean.slice(0, begin, begin + kBlock).copy_(mean);
    result.deviation.slice(0, begin, begin + kBlock).copy_(at::where(constant, at::ones_like(deviation), deviation));
  }
  return result;
}

Tensor Standardizer::apply(const Tensor& x) const {
  check_shape(x, {-1, mean.size(0)}, "Standardizer: x");
  return (x - mean).div_(deviation);
}

}  // namespace sdg::cluster
