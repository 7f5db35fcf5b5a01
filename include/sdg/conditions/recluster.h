#pragma once
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"
#include "sdg/data/dataset.h"
#include "sdg/network/network.h"

namespace sdg::conditions {

/// Steps at which source recluster clusters anew: `first`, where conditions begin (Learner::change_at), and every
/// condition.recluster of the steps after it.
bool recluster_due(const recipe::RunConfig& config, int64_t first, int64_t step);

/// Clusters of all images by k-means on the network's features (what source online does with Sinkhorn and a head),
/// int64 [data set size]. `previous` (may be undefined) gives the numbers: see keep_numbers. Over ranks each extracts
/// its share of the features; all get the same clusters.
Tensor recluster(const recipe::RunConfig& config, const network::Network& network, const data::Dataset& dataset,
                 const at::Device& device, const Tensor& previous, Reducer& reducer = Reducer::local());

/// Renames the clusters 0 … K-1 of `ids` so that as many images as possible keep the number they had in `previous`
/// (one-to-one, Hungarian). int64 [N] both.
Tensor keep_numbers(const Tensor& ids, const Tensor& previous, int64_t clusters);

}  // namespace sdg::conditions
