#pragma once
#include "cluster/lloyd.h"
#include "sdg/core/rng.h"

namespace sdg::cluster {
/// Mini-batch k-means (Sculley, "Web-scale k-means clustering", 2010) from the given centroids: each batch moves every
/// centroid to the running mean of all rows it was given so far. A pass goes once through x in an order of its own;
/// centroids that a whole pass gave nothing restart at the farthest rows of its last batch. Ends when a pass lowers the
/// mean squared distance by less than a thousandth, or after `passes`; then all of x is assigned.
KmeansResult minibatch_kmeans(const Tensor& x, const Tensor& centroids, int64_t batch, int64_t passes,
                              const rng::Stream& stream, const std::function<void(int64_t)>& step,
                              Reducer& reducer = Reducer::local());
/// Rows from which the first centroids are chosen: enough for K of them, far fewer than a large x.
Tensor sample_for_start(const Tensor& x, int64_t clusters, int64_t batch, const rng::Stream& stream);
}  // namespace sdg::cluster
