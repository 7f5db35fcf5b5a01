#pragma once
#include "sdg/core/reducer.h"
#include "sdg/core/rng.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {
/// First centroids [K, D] out of x [N, D] by greedy k-means++: each new one is, of a few points drawn in proportion to
/// their squared distance to the nearest so far, the one that lowers the inertia most.
Tensor plus_plus(const Tensor& x, int64_t clusters, const rng::Stream& stream, Reducer& reducer = Reducer::local());
/// K different rows of x, all equally likely.
Tensor random_rows(const Tensor& x, int64_t clusters, const rng::Stream& stream);
}  // namespace sdg::cluster
