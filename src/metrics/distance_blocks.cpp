#include "metrics/distance_blocks_impl.h"

#include <algorithm>
#include <limits>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/shape.h"

namespace sdg::metrics {
namespace {

constexpr int64_t kRows = 256, kColumns = 2048, kPairs = 1024;
constexpr double kShortest = 1e-10, kLongest = 1e30;  // squared lengths for which float32 has the range
constexpr int64_t kWidest = 1 << 20;                  // beyond it float32's bounds tell nothing

bool in_floats(const Tensor& rows) {
  return rows.scalar_type() == at::kFloat;
}

// What bounds leave for rounding, as a share of the two squared lengths: products of D numbers are off by D roundings
// of the lengths at most, in whatever order they are summed (Higham, Accuracy and Stability of Numerical Algorithms,
// section 3.1); the rows' own rounding, that of what a bound is compared with and the sums around take fewer than 32.
double rounding(const Tensor& rows) {
  const double unit = in_floats(rows) ? std::numeric_limits<float>::epsilon() : std::numeric_limits<double>::epsilon();
  const double sum = static_cast<double>(rows.size(1) + 32) * unit / 2;
  return sum / (1 - sum);
}

// And for products that fall below the range of the type.
double least(const Tensor& rows) {
  return in_floats(rows) ? 1e-30 : 1e-290;
}

Tensor checked(const Tensor& rows, const char* what) {
  const Tensor out = rows.to(at::kCPU, at::kDouble).contiguous();
  SDG_CHECK(at::isfinite(out).all().item<bool>(), what, ": features must be finite, got NaN or infinity");
  return out;
}

}  // namespace

DistanceBlocks::DistanceBlocks(const Tensor& from, const Tensor& to, const char* what) {
  check_shape(to, {-1, -1}, what);
  check_shape(from, {-1, to.size(1)}, what);
  SDG_CHECK(to.size(0) > 0 && from.size(0) > 0, what, ": no features");
  const bool same = from.is_same(to);
  to_ = checked(to, what);
  from_ = same ? to_ : checked(from, what);
  centre_ = to_.mean(0);
  prepare(at::kFloat);
  const double longest = std::max(from_squares_.max().item<double>(), to_squares_.max().item<double>());
  if (longest < kShortest || longest > kLongest || to_.size(1) > kWidest) prepare(at::kDouble);
}

void DistanceBlocks::prepare(at::ScalarType type) {
  const auto centred = [&](const Tensor& rows, Tensor& squares, Tensor& quick) {
    const Tensor about = rows - centre_;
    squares = about.square().sum(1);
    quick = about.to(type);
  };
  centred(to_, to_squares_, quick_to_);
  if (from_.is_same(to_)) {
    from_squares_ = to_squares_;
    quick_from_ = quick_to_;
  } else {
    centred(from_, from_squares_, quick_from_);
  }
}

DistanceBlocks DistanceBlocks::closer(const Tensor& rows) const {
  DistanceBlocks out;
  out.from_ = from_.index_select(0, rows);
  out.to_ = to_;
  out.centre_ = centre_;
  out.prepare(at::kDouble);
  return out;
}

void DistanceBlocks::for_each(const std::function<void(int64_t row, int64_t column, const Tensor& lower)>& take) const {
  const double share = 1 - rounding(quick_to_);
  const auto type = quick_to_.scalar_type();
  const Tensor least_from = (from_squares_ * share - least(quick_to_)).to(type),
               least_to = (to_squares_ * share).to(type);
  worker_pool().run((rows() + kRows - 1) / kRows, [&](int64_t block) {
    const auto row = block * kRows;
    const Tensor own = quick_from_.slice(0, row, row + kRows), own_squares = least_from.slice(0, row, row + kRows);
    for (int64_t column = 0; column < columns(); column += kColumns) {
      const Tensor others = quick_to_.slice(0, column, column + kColumns);
      Tensor lower = own_squares.unsqueeze(1) + least_to.slice(0, column, column + kColumns).unsqueeze(0);
      take(row, column, lower.addmm_(own, others.t(), 1, -2));
    }
  });
}

Bounds DistanceBlocks::bounds(int64_t row, int64_t column, const Tensor& lower) const {
  const auto type = lower.scalar_type();
  const double twice = 2 * rounding(quick_to_);
  const Tensor own = (from_squares_.narrow(0, row, lower.size(0)) * twice + 2 * least(quick_to_)).to(type);
  const Tensor others = (to_squares_.narrow(0, column, lower.size(1)) * twice).to(type);
  return {lower, own.unsqueeze(1) + others.unsqueeze(0) + lower};
}

Bounds DistanceBlocks::close_bounds(int64_t row, int64_t column, int64_t rows, int64_t columns) const {
  const Tensor own = from_.narrow(0, row, rows) - centre_, others = to_.narrow(0, column, columns) - centre_;
  const Tensor squares = from_squares_.narrow(0, row, rows).unsqueeze(1) + to_squares_.narrow(0, column, columns);
  const Tensor middle = at::addmm(squares, own, others.t(), 1, -2), off = squares * rounding(own);
  return {middle - off, middle + off};
}

Tensor DistanceBlocks::squares_of(const Tensor& i, const Tensor& j) const {
  Tensor out = at::empty({i.size(0)}, at::kDouble);
  for (int64_t first = 0; first < i.size(0); first += kPairs) {
    const auto count = std::min(kPairs, i.size(0) - first);
    const Tensor apart =
        from_.index_select(0, i.narrow(0, first, count)) - to_.index_select(0, j.narrow(0, first, count));
    out.narrow(0, first, count).copy_(apart.square_().sum(1));
  }
  return out;
}

}  // namespace sdg::metrics
