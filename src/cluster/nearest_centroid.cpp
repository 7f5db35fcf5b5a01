#include "cluster/nearest_centroid.h"

#include <algorithm>

#include "sdg/cluster/kmeans.h"
#include "sdg/core/parallel.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {

int64_t rows_per_block(const Tensor& x, int64_t clusters) {
  const int64_t elements = x.is_cuda() ? int64_t{1} << 26 : int64_t{1} << 20;
  return std::max<int64_t>(1, elements / std::max(clusters, x.size(1)));
}

namespace {

RowRange blocks_of(int64_t rank, int64_t count, int64_t rows, const Reducer& reducer) {
  const auto blocks = own_rows((count + rows - 1) / rows, rank, reducer.ranks());
  return {std::min(count, blocks.begin * rows), std::min(count, blocks.end * rows)};
}

}  // namespace

RowRange own_blocks(int64_t count, int64_t rows, const Reducer& reducer) {
  return blocks_of(reducer.rank(), count, rows, reducer);
}

std::vector<int64_t> block_counts(int64_t count, int64_t rows, const Reducer& reducer) {
  std::vector<int64_t> out;
  for (int64_t rank = 0; rank < reducer.ranks(); ++rank) out.push_back(blocks_of(rank, count, rows, reducer).size());
  return out;
}

Nearest find_nearest(const Tensor& x, const Tensor& centroids, Reducer& reducer) {
  check_shape(centroids, {-1, x.size(1)}, "nearest_centroid: centroids");
  // |x - c|^2 = |x|^2 - 2 x.c + |c|^2 is one matrix product; shifted to the centroids' mean it loses few digits.
  const auto shift = centroids.mean(0);
  const auto centered = centroids.to(at::kFloat) - shift;  // [K, D]
  const auto lengths = centered.square().sum(1);           // [K]
  const auto options = at::TensorOptions(x.device());
  Nearest nearest{at::empty({x.size(0)}, options.dtype(at::kLong)), at::empty({x.size(0)}, options.dtype(at::kFloat))};
  const int64_t rows = rows_per_block(x, centroids.size(0));
  const auto share = own_blocks(x.size(0), rows, reducer);
  const auto one = [&](int64_t b) {
    const int64_t begin = share.begin + b * rows;
    const auto block = x.slice(0, begin, std::min(begin + rows, share.end)).to(at::kFloat) - shift;  // [rows, D]
    const auto [least, index] = at::addmm(lengths, block, centered.t(), 1, -2).min(1);               // of [rows, K]
    nearest.index.slice(0, begin, begin + rows).copy_(index);
    nearest.distance.slice(0, begin, begin + rows).copy_((least + block.square().sum(1)).clamp_min(0));
  };
  const int64_t blocks = (share.size() + rows - 1) / rows;
  if (x.is_cpu() && blocks > 1) {
    worker_pool().run(blocks, one);
  } else {
    for (int64_t b = 0; b < blocks; ++b) one(b);
  }
  if (reducer.ranks() == 1) return nearest;
  const auto counts = block_counts(x.size(0), rows, reducer);
  return {reducer.all_gather(nearest.index.slice(0, share.begin, share.end), counts),
          reducer.all_gather(nearest.distance.slice(0, share.begin, share.end), counts)};
}

Tensor nearest_centroid(const Tensor& x, const Tensor& centroids) {
  check_shape(x, {-1, -1}, "nearest_centroid: x");
  return find_nearest(x, centroids).index;
}

}  // namespace sdg::cluster
