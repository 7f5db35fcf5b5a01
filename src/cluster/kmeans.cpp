#include "sdg/cluster/kmeans.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cluster/nearest_centroid.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {
namespace {

// Squared distances of all rows of x to a few centers [M, D]: [N, M].
Tensor distances(const Tensor& x, const Tensor& centers) {
  Tensor out = at::empty({x.size(0), centers.size(0)}, x.options());
  const int64_t rows = rows_per_block(x, centers.size(0));
  const auto shift = centers.mean(0);
  const auto centered = centers - shift;
  const auto lengths = centered.square().sum(1);
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    const auto block = x.slice(0, begin, begin + rows) - shift;
    const auto square = at::addmm(lengths, block, centered.t(), 1, -2) + block.square().sum(1, true);
    out.slice(0, begin, begin + rows).copy_(square.clamp_min_(0));
  }
  return out;
}

// Each new center is, of a few points drawn in proportion to their squared distance, the one that lowers the inertia
// most.
Tensor plus_plus(const Tensor& x, int64_t clusters, const rng::Stream& stream) {
  const int64_t n = x.size(0);
  const int64_t trials = 2 + static_cast<int64_t>(std::log(static_cast<double>(clusters)));
  const auto draws = rng::uniform(stream, rng::indices(0, clusters), {trials}).to(at::kDouble);  // [K, trials]
  std::vector<int64_t> chosen;
  const auto take = [&](int64_t point, Tensor& closest) {
    chosen.push_back(point);
    closest[point] = 0;  // rounding must not let a center be drawn again
  };

  const auto first =
      std::min<int64_t>(n - 1, static_cast<int64_t>(draws[0][0].item<double>() * static_cast<double>(n)));
  Tensor closest = distances(x, x.slice(0, first, first + 1)).squeeze(1);  // [N]
  take(first, closest);
  while (static_cast<int64_t>(chosen.size()) < clusters) {
    const auto cumulative = closest.to(at::kDouble).cumsum(0);
    const auto targets = (draws[static_cast<int64_t>(chosen.size())].to(x.device()) * cumulative[n - 1]);
    const auto candidates = at::searchsorted(cumulative, targets, false, /*right=*/true).clamp_max(n - 1);  // [trials]
    const auto then = at::minimum(closest.unsqueeze(1), distances(x, x.index_select(0, candidates)));  // [N, trials]
    const auto best = then.sum(0, false, at::kDouble).argmin();
    closest = then.index_select(1, best.reshape({1})).squeeze(1);
    take(candidates[best].item<int64_t>(), closest);
  }
  return x.index_select(0, at::tensor(chosen).to(x.device()));
}

// Moves the farthest points, one each, into clusters that own nothing; a point that sits on its centroid helps nobody
// and stays.
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

// Means in float64; a cluster that stayed empty keeps its centroid.
Tensor means(const Tensor& x, const Tensor& index, const Tensor& centroids) {
  auto sums = at::zeros(centroids.sizes(), centroids.options().dtype(at::kDouble));
  const int64_t rows = rows_per_block(x, 1);
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    sums.index_add_(0, index.slice(0, begin, begin + rows), x.slice(0, begin, begin + rows).to(at::kDouble));
  }
  const auto counts = at::bincount(index, {}, centroids.size(0)).unsqueeze(1);
  return at::where(counts > 0, (sums / counts.clamp_min(1)).to(at::kFloat), centroids);
}

// The sum of squared distances from the differences themselves: exact where a point is its centroid.
double inertia_of(const Tensor& x, const KmeansResult& result) {
  double total = 0;
  const int64_t rows = rows_per_block(x, 1);
  for (int64_t begin = 0; begin < x.size(0); begin += rows) {
    const auto own = result.centroids.index_select(0, result.assignments.slice(0, begin, begin + rows));
    total += (x.slice(0, begin, begin + rows) - own).square().sum(at::kDouble).item<double>();
  }
  return total;
}

KmeansResult lloyd(const Tensor& x, Tensor centroids, int64_t iterations, const Progress& progress, int64_t done,
                   int64_t total) {
  KmeansResult result;
  auto nearest = find_nearest(x, centroids);
  while (result.iterations < iterations) {
    ++result.iterations;
    reseed_empty(nearest, centroids.size(0));
    centroids = means(x, nearest.index, centroids);
    const auto next = find_nearest(x, centroids);
    const bool settled = at::equal(next.index, nearest.index);
    nearest = next;
    if (progress) progress(done + result.iterations, total);
    if (settled) break;
  }
  result.centroids = centroids;
  result.assignments = nearest.index;
  result.inertia = inertia_of(x, result);
  return result;
}

}  // namespace

KmeansResult kmeans(const Tensor& x_in, const KmeansOptions& options, const Progress& progress) {
  const at::NoGradGuard no_grad;
  check_shape(x_in, {-1, -1}, "kmeans: x");
  SDG_CHECK(options.clusters >= 1, "kmeans: clusters must be at least 1, got ", options.clusters);
  SDG_CHECK(options.clusters <= x_in.size(0), "kmeans: ", options.clusters,
            " clusters need at least as many points, got ", x_in.size(0));
  SDG_CHECK(options.restarts >= 1 && options.iterations >= 1,
            "kmeans: restarts and iterations must be at least 1, got ", options.restarts, " and ", options.iterations);
  SDG_CHECK(x_in.isfinite().all().item<bool>(), "kmeans: x must be finite");
  const auto x = x_in.to(at::kFloat);

  KmeansResult best;
  best.inertia = std::numeric_limits<double>::infinity();
  const int64_t total = options.restarts * options.iterations;
  for (int64_t restart = 0; restart < options.restarts; ++restart) {
    const rng::Stream stream{options.seed, rng::Purpose::kKmeans, static_cast<uint64_t>(restart)};
    auto result = lloyd(x, plus_plus(x, options.clusters, stream), options.iterations, progress,
                        restart * options.iterations, total);
    if (progress) progress((restart + 1) * options.iterations, total);
    if (result.inertia < best.inertia) best = result;
  }
  return best;
}

}  // namespace sdg::cluster
