#pragma once
#include <functional>

#include "sdg/core/tensor.h"

namespace sdg::metrics {

/// Squared Euclidean distances between float64 rows, a block at a time on the worker threads.
class DistanceBlocks {
 public:
  /// from [N, D], to [M, D]; `what` begins messages. Throws Error for other widths or values that are not finite.
  DistanceBlocks(const Tensor& from, const Tensor& to, const char* what);

  /// Calls take(first row, first column, d2 [at most 256, at most 2048]) with every block. Blocks of one range of rows
  /// come in order on one thread, those of others at the same time.
  void for_each(const std::function<void(int64_t row, int64_t column, const Tensor& squares)>& take) const;

  const Tensor& from() const { return from_; }
  const Tensor& to() const { return to_; }

 private:
  Tensor from_, to_, from_squares_, to_squares_;
};

}  // namespace sdg::metrics
