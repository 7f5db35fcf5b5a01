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

Nearest find_nearest(const Tensor& x, const Tensor& centroids) {
  check_shape(centroids, {-1, x.size(1)}, "nearest_centroid: centroids");
  // |x - c|^2 = |x|^2 - 2 x.c + |c|^2 is one matrix product; shifted to the centroids' mean it loses few digits.
  const auto shift = centroids.mean(0);
  const auto centered = centroids.to(at::kFloat) - shift;  // [K, D]
  const auto lengths = centered.square().sum(1);           // [K]
  const auto options = at::TensorOptions(x.device());
  Nearest nearest{at::empty({x.size(0)}, options.dtype(at::kLong)), at::empty({x.size(0)}, options.dtype(at::kFloat))};
  const int64_t rows = rows_per_block(x, centroids.size(0));
  const auto one = [&](int64_t b) {
    const int64_t begin = b * rows;
    const auto block = x.slice(0, begin, begin + rows).to(at::kFloat) - shift;          // [rows, D]
    const auto [least, index] = at::addmm(lengths, block, centered.t(), 1, -2).min(1);  // of [rows, K]
    nearest.index.slice(0, begin, begin + rows).copy_(index);
    nearest.distance.slice(0, begin, begin + rows).copy_((least + block.square().sum(1)).clamp_min(0));
  };
  const int64_t blocks = (x.size(0) + rows - 1) / rows;
  if (x.is_cpu() && blocks > 1) {
    worker_pool().run(blocks, one);
  } else {
    for (int64_t b = 0; b < blocks; ++b) one(b);
  }
  return nearest;
}

Tensor nearest_centroid(const Tensor& x, const Tensor& centroids) {
  check_shape(x, {-1, -1}, "nearest_centroid: x");
  return find_nearest(x, centroids).index;
}

}  // namespace sdg::cluster
