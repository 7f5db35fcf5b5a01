#include "sdg/cluster/standardizer.h"

#include <limits>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {
namespace {

Tensor column_maxima(const Tensor& columns, Reducer& reducer) {
  auto maxima = columns.size(0) > 0
                    ? columns.amax(0)
                    : at::full({columns.size(1)}, -std::numeric_limits<double>::infinity(), columns.options());
  return reducer.all_reduce(maxima, Reducer::Op::kMax);
}

}  // namespace

Standardizer Standardizer::fit(const Tensor& x, Reducer& reducer) {
  check_shape(x, {-1, -1}, "Standardizer: x");
  const auto rows = reducer.sum(x.size(0));
  SDG_CHECK(rows >= 1, "Standardizer: x needs at least one row");
  const auto mean_of = [&](const Tensor& values) {
    return reducer.all_reduce(values.sum(0)) / static_cast<double>(rows);
  };
  // Columns one after the other in float64 would be exact but slow; blocks of columns bound the memory of the cast.
  constexpr int64_t kBlock = 64;
  const auto options = at::TensorOptions(x.device()).dtype(at::kFloat);
  Standardizer result{at::empty({x.size(1)}, options), at::empty({x.size(1)}, options)};
  for (int64_t begin = 0; begin < x.size(1); begin += kBlock) {
    const auto raw = x.slice(1, begin, begin + kBlock);
    const auto columns = raw.to(at::kDouble);
    const auto mean = mean_of(columns);
    const auto deviation = mean_of((columns - mean).square()).sqrt();
    const auto spread = column_maxima(columns, reducer) + column_maxima(-columns, reducer);  // largest - least
    const auto constant = (spread == 0).logical_or(deviation == 0);
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
