#pragma once
#include <cstdint>

#include "sdg/core/tensor.h"

namespace sdg::metrics {

/// The k rows of `to` nearest to each row of `from`, nearest first (of equal distances, any order).
struct Neighbours {
  Tensor distances;  ///< float64 [N, k], Euclidean, of the differences themselves: a copy has distance 0
  Tensor places;     ///< int64 [N, k], rows of `to`
};

/// from [N, D], to [M, D], any float type, in float64 and blocks of rows on the worker threads: memory does not grow
/// with N M. Throws Error for other widths, for fewer than k rows of `to`, and for values that are not finite.
Neighbours nearest(const Tensor& from, const Tensor& to, int64_t k);
/// The same within one set, where no row is its own neighbour (another row equal to it is).
Neighbours nearest_others(const Tensor& rows, int64_t k);

}  // namespace sdg::metrics
