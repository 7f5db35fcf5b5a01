#pragma once
#include "sdg/core/tensor.h"

namespace sdg::cluster {
struct Nearest {
  Tensor index;     ///< [N] int64
  Tensor distance;  ///< [N] float32, squared
};
/// Nearest centroid [K, D] of each row of x [N, D] with its squared distance, in blocks of rows.
Nearest find_nearest(const Tensor& x, const Tensor& centroids);
/// Rows of [rows, K] float32 that keep a block of distances small, for x on its device.
int64_t rows_per_block(const Tensor& x, int64_t clusters);
}  // namespace sdg::cluster
