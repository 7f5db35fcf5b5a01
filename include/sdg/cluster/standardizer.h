#pragma once
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {
/// Gives each column mean 0 and deviation 1, so that no feature outweighs the others in a distance.
struct Standardizer {
  Tensor mean;       ///< [D] float32
  Tensor deviation;  ///< [D] float32, of the population; 1 where a column is constant
  /// x [N, D], N >= 1; over ranks the rows of all together.
  static Standardizer fit(const Tensor& x, Reducer& reducer = Reducer::local());
  /// (x - mean) / deviation, [N, D].
  Tensor apply(const Tensor& x) const;
};
}  // namespace sdg::cluster
