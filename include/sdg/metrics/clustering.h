#pragma once
#include "sdg/core/tensor.h"

namespace sdg::metrics {
/// Agreement of two labelings a, b (int64 [N], any values), as scikit-learn defines it (method.md 6.7).
struct ClusterScores {
  double nmi = 0;       ///< normalised mutual information, arithmetic mean of the entropies
  double ami = 0;       ///< adjusted for chance
  double ari = 0;       ///< adjusted Rand index
  double accuracy = 0;  ///< best one-to-one matching of clusters to classes (Hungarian)
};
ClusterScores cluster_scores(const Tensor& truth, const Tensor& predicted);
}  // namespace sdg::metrics
