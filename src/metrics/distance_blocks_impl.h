#pragma once
#include <functional>

#include "sdg/core/tensor.h"

namespace sdg::metrics {

/// Between what the squared distances of a block of rows and columns lie, [n, m] each.
struct Bounds {
  Tensor lower, upper;
};

/// Squared Euclidean distances between all rows of two sets, a block at a time on the worker threads, within bounds:
/// they are taken from products in float32, twice as fast as in float64, and whoever must know more asks for the few
/// pairs that the bounds leave open (squares_of), or for the block's bounds in float64.
class DistanceBlocks {
 public:
  /// from [N, D], to [M, D]; `what` begins messages. Throws Error for other widths or values that are not finite.
  DistanceBlocks(const Tensor& from, const Tensor& to, const char* what);

  /// Calls take(first row, first column, lower bounds [at most 256, at most 2048]) with every block. Blocks of one
  /// range of rows come in order on one thread, those of others at the same time.
  void for_each(const std::function<void(int64_t row, int64_t column, const Tensor& lower)>& take) const;
  /// Both bounds of a block whose lower ones are given.
  Bounds bounds(int64_t row, int64_t column, const Tensor& lower) const;
  /// The same a billion times as close, in float64.
  Bounds close_bounds(int64_t row, int64_t column, int64_t rows, int64_t columns) const;

  /// Of the pairs from[i[p]], to[j[p]], float64 [P]: sums of squared differences, which lose no digits.
  Tensor squares_of(const Tensor& i, const Tensor& j) const;

  /// Only these rows of `from`, all bounds in float64.
  DistanceBlocks closer(const Tensor& rows) const;
  bool is_close() const { return quick_to_.scalar_type() == at::kDouble; }

  int64_t rows() const { return from_.size(0); }
  int64_t columns() const { return to_.size(0); }

 private:
  DistanceBlocks() = default;
  void prepare(at::ScalarType type);

  Tensor from_, to_;                  // float64
  Tensor centre_;                     // the mean of `to`, about which rows are multiplied: they lose fewer digits
  Tensor from_squares_, to_squares_;  // of the rows' lengths about it, [N], [M], float64
  Tensor quick_from_, quick_to_;      // the rows about it, in the type of the products
};

}  // namespace sdg::metrics
