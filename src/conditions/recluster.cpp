#include "sdg/conditions/recluster.h"

#include <algorithm>
#include <cmath>

#include "sdg/conditions/offline_kmeans.h"
#include "sdg/core/rng.h"
#include "sdg/metrics/hungarian.h"
#include "sdg/network/features.h"

namespace sdg::conditions {

bool recluster_due(const recipe::RunConfig& config, int64_t first, int64_t step) {
  const auto every =
      std::max<int64_t>(1, std::llround(config.condition.recluster * static_cast<double>(config.train.steps)));
  return config.condition.source == recipe::Source::kRecluster && step >= first && (step - first) % every == 0;
}

Tensor keep_numbers(const Tensor& ids, const Tensor& previous, int64_t clusters) {
  const auto overlap = at::bincount(ids * clusters + previous, {}, clusters * clusters).view({clusters, clusters});
  const auto number = metrics::min_cost_assignment(-overlap.to(at::kDouble));  // of each new cluster
  return at::tensor(number).index_select(0, ids);
}

Tensor recluster(const recipe::RunConfig& config, const network::Network& network, const data::Dataset& dataset,
                 const at::Device& device, const Tensor& previous, Reducer& reducer) {
  const auto features = network::extract_features(config, network, dataset, rng::consecutive(0, dataset.size()),
                                                  {network::own_tap(config, *network.model)}, device, {},
                                                  rng::Purpose::kTeacherNoise, reducer)
                            .front();
  OfflineKmeans options;
  options.kmeans.clusters = config.cluster.clusters;
  options.kmeans.seed = recipe::seed_of(config);
  const auto ids = cluster_features(features, options, {}, reducer).ids;
  return reducer.broadcast(previous.defined() ? keep_numbers(ids, previous, config.cluster.clusters) : ids);
}

}  // namespace sdg::conditions
