#pragma once
#include "cluster/nearest_centroid.h"
#include "sdg/cluster/kmeans.h"

namespace sdg::cluster {
/// Moves the farthest points, one each, into clusters that own nothing; a point that sits on its centroid helps nobody
/// and stays.
void reseed_empty(Nearest& nearest, int64_t clusters);
/// Means of the rows of each cluster [K, D], in float64; a cluster without rows keeps its centroid.
Tensor means(const Tensor& x, const Tensor& index, const Tensor& centroids);
/// Lloyd's iterations from the given centroids until assignments settle. `step(done)` hears of each.
KmeansResult lloyd(const Tensor& x, Tensor centroids, int64_t iterations, const std::function<void(int64_t)>& step,
                   Reducer& reducer = Reducer::local());
/// The result for centroids that are final: assignments and inertia over all of x. Where a cluster is empty, one
/// iteration reseeds it first.
KmeansResult assign_all(const Tensor& x, Tensor centroids, Reducer& reducer = Reducer::local());
}  // namespace sdg::cluster
