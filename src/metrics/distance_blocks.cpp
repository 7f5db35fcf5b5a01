#include "metrics/distance_blocks_impl.h"

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/shape.h"

namespace sdg::metrics {
namespace {

constexpr int64_t kRows = 256, kColumns = 2048;

Tensor checked(const Tensor& rows, const char* what) {
  const Tensor out = rows.to(at::kCPU, at::kDouble).contiguous();
  SDG_CHECK(at::isfinite(out).all().item<bool>(), what, ": features must be finite, got NaN or infinity");
  return out;
}

}  // namespace

// About the mean of `to`: distances stay, and features far from zero lose no digits.
DistanceBlocks::DistanceBlocks(const Tensor& from, const Tensor& to, const char* what) {
  check_shape(to, {-1, -1}, what);
  check_shape(from, {-1, to.size(1)}, what);
  SDG_CHECK(to.size(0) > 0 && from.size(0) > 0, what, ": no features");
  const bool same = from.is_same(to);
  to_ = checked(to, what);
  const Tensor centre = to_.mean(0);
  to_ = to_ - centre;
  from_ = same ? to_ : checked(from, what) - centre;
  from_squares_ = from_.square().sum(1);  // [N]
  to_squares_ = to_.square().sum(1);      // [M]
}

void DistanceBlocks::for_each(
    const std::function<void(int64_t row, int64_t column, const Tensor& squares)>& take) const {
  const auto rows = from_.size(0), columns = to_.size(0);
  worker_pool().run((rows + kRows - 1) / kRows, [&](int64_t block) {
    const auto row = block * kRows;
    const Tensor own = from_.slice(0, row, row + kRows), own_squares = from_squares_.slice(0, row, row + kRows);
    for (int64_t column = 0; column < columns; column += kColumns) {
      const Tensor others = to_.slice(0, column, column + kColumns);
      Tensor squares = own_squares.unsqueeze(1) + to_squares_.slice(0, column, column + kColumns).unsqueeze(0);
      squares.addmm_(own, others.t(), 1, -2).clamp_min_(0);
      take(row, column, squares);
    }
  });
}

}  // namespace sdg::metrics
