#pragma once
#include <string>

#include "sdg/cluster/sinkhorn.h"

namespace sdg::cluster {

/// How well the clusters of one batch (or one evaluation) are told apart.
struct ClusterHealth {
  int64_t clusters = 0;   ///< K
  int64_t samples = 0;    ///< assigned; a batch cannot use more clusters than it has samples
  int64_t used = 0;       ///< clusters that are some sample's argmax
  double entropy = 0;     ///< of the mean assignment, nats
  double loss_ratio = 0;  ///< assignment loss / ln K: 1 when scores say nothing about the cluster
};

/// `mean_loss` is the mean assignment_loss of the same batch; over ranks both are of all ranks' samples.
ClusterHealth cluster_health(const SinkhornResult& assignment, double mean_loss);

/// One line that says what is wrong and what to try, or "" where the clusters are healthy: warns if the loss is within
/// 1 % of ln K or fewer than a quarter of the clusters that could be used are. Ask after the warm-up: untrained heads
/// look collapsed.
std::string collapse_warning(const ClusterHealth& health);

}  // namespace sdg::cluster
