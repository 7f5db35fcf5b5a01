#include "cluster/lloyd.h"

#include <algorithm>

namespace sdg::cluster {
namespace {

// The sum of squared distances from the differences themselves: exact where a point is its centroid.
double inertia_of(const Tensor& x, const KmeansResult& result) {
  const auto total = at::zeros({}, x.options().dtype(at::kDouble));
  const int64_t rows = rows_per_block(x, 1);
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    const auto own = result.centroids.index_select(0, result.assignments.slice(0, begin, begin + rows));
    total.add_((x.slice(0, begin, begin + rows) - own).square().sum(at::kDouble));
  }
  return total.item<double>();
}

}  // namespace

void reseed_empty(Nearest& nearest, int64_t clusters) {
  auto counts = at::bincount(nearest.index, {}, clusters).cpu();
  auto* count = counts.data_ptr<int64_t>();
  const auto empty = std::count(count, count + clusters, 0);
  if (empty == 0) return;
  const auto farthest = nearest.distance.argsort(/*stable=*/true, 0, /*descending=*/true).cpu();
  const auto distance = nearest.distance.cpu();
  auto index = nearest.index.cpu().clone();
  auto* owner = index.data_ptr<int64_t>();
  int64_t next = 0;
  for (int64_t cluster = 0; cluster < clusters; ++cluster) {
    if (count[cluster] > 0) continue;
    while (next < farthest.size(0) && count[owner[farthest[next].item<int64_t>()]] < 2) ++next;
    if (next == farthest.size(0)) break;
    const auto point = farthest[next].item<int64_t>();
    if (distance[point].item<float>() <= 0) break;
    --count[owner[point]];
    ++count[cluster];
    owner[point] = cluster;
    ++next;
  }
  nearest.index.copy_(index);
}

Tensor means(const Tensor& x, const Tensor& index, const Tensor& centroids) {
  auto sums = at::zeros(centroids.sizes(), centroids.options().dtype(at::kDouble));
  const int64_t rows = rows_per_block(x, 1);
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    sums.index_add_(0, index.slice(0, begin, begin + rows), x.slice(0, begin, begin + rows).to(at::kDouble));
  }
  const auto counts = at::bincount(index, {}, centroids.size(0)).unsqueeze(1);
  return at::where(counts > 0, (sums / counts.clamp_min(1)).to(at::kFloat), centroids);
}

KmeansResult lloyd(const Tensor& x, Tensor centroids, int64_t iterations, const std::function<void(int64_t)>& step,
                   Reducer& reducer) {
  KmeansResult result;
  auto nearest = find_nearest(x, centroids, reducer);
  while (result.iterations < iterations) {
    ++result.iterations;
    reseed_empty(nearest, centroids.size(0));
    centroids = means(x, nearest.index, centroids);
    const auto next = find_nearest(x, centroids, reducer);
    const bool settled = at::equal(next.index, nearest.index);
    nearest = next;
    if (step) step(result.iterations);
    if (settled) break;
  }
  result.centroids = centroids;
  result.assignments = nearest.index;
  result.inertia = inertia_of(x, result);
  return result;
}

KmeansResult assign_all(const Tensor& x, Tensor centroids, Reducer& reducer) {
  const auto nearest = find_nearest(x, centroids, reducer);
  const auto counts = at::bincount(nearest.index, {}, centroids.size(0));
  if (counts.eq(0).any().item<bool>()) return lloyd(x, std::move(centroids), 1, {}, reducer);
  KmeansResult result;
  result.centroids = std::move(centroids);
  result.assignments = nearest.index;
  result.inertia = inertia_of(x, result);
  return result;
}

}  // namespace sdg::cluster
