#include "sdg/cluster/collapse.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

namespace sdg::cluster {

ClusterHealth cluster_health(const SinkhornResult& assignment, double mean_loss) {
  const int64_t clusters = assignment.assignments.size(1);
  const double uninformed = std::log(static_cast<double>(clusters));
  return {.clusters = clusters,
          .samples = assignment.samples,
          .used = static_cast<int64_t>(assignment.used_clusters),
          .entropy = assignment.entropy,
          .loss_ratio = uninformed > 0 ? mean_loss / uninformed : 0};
}

std::string collapse_warning(const ClusterHealth& health) {
  if (health.clusters < 2) return {};  // one cluster has nothing to tell apart
  constexpr double kUninformed = 0.99;
  std::ostringstream out;
  out << std::fixed << std::setprecision(1);
  const int64_t usable = std::min(health.clusters, health.samples);
  if (!(health.loss_ratio < kUninformed)) {
    out << "clusters: the assignment loss is " << 100 * health.loss_ratio
        << " % of ln K: the scores say nothing about the cluster; "
        << "try a lower cluster.temperature or cluster.epsilon, fewer clusters, or a longer run";
  } else if (4 * health.used < usable) {
    out << "clusters: only " << health.used << " of " << usable << " usable clusters own a sample; "
        << "try fewer clusters, a larger batch or more cluster.iterations";
  }
  return out.str();
}

}  // namespace sdg::cluster
