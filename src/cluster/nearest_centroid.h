#pragma once
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {
struct Nearest {
  Tensor index;     ///< [N] int64
  Tensor distance;  ///< [N] float32, squared
};
/// Nearest centroid [K, D] of each row of x [N, D] with its squared distance, in blocks of rows; over ranks, all of
/// which have x, each computes some of the blocks.
Nearest find_nearest(const Tensor& x, const Tensor& centroids, Reducer& reducer = Reducer::local());
/// Rows of [rows, K] float32 that keep a block of distances small, for x on its device.
int64_t rows_per_block(const Tensor& x, int64_t clusters);
/// Of `count` rows in blocks of `rows` those of this rank's blocks, and how many rows each rank has.
RowRange own_blocks(int64_t count, int64_t rows, const Reducer& reducer);
std::vector<int64_t> block_counts(int64_t count, int64_t rows, const Reducer& reducer);
}  // namespace sdg::cluster
