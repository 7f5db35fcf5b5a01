#pragma once
#include "sdg/core/tensor.h"

namespace sdg::metrics {
/// Agreement of two labelings a, b (int64 [N], any values), as scikit-learn defines it (docs/math.md, "Agreement of
/// clusters with labels").
struct ClusterScores {
  double nmi = 0;       ///< normalised mutual information, arithmetic mean of the entropies
  double ami = 0;       ///< adjusted for chance
  double ari = 0;       ///< adjusted Rand index
  double accuracy = 0;  ///< best one-to-one matching of clusters to classes (Hungarian)
};
/// Throws Error unless both are integer vectors of the same length N >= 1. Conventions for labelings that say nothing:
/// NMI is 1 if both have one cluster, 0 if one has; AMI is also 1 if both put every sample alone; ARI is 1 for N = 1.
ClusterScores cluster_scores(const Tensor& truth, const Tensor& predicted);

/// Everything known about how the pair agrees, in nats where it is information.
struct ClusterAgreement : ClusterScores {
  double nmi_geometric = 0, nmi_min = 0, nmi_max = 0;  ///< NMI with other means of the two entropies
  double homogeneity = 0;                              ///< MI / H(truth): each cluster holds one class
  double completeness = 0;                             ///< MI / H(predicted): each class lies in one cluster
  double v_measure = 0;                                ///< harmonic mean of the two
  double purity = 0;                                   ///< share of samples of the commonest class of their cluster
  double mutual_info = 0;
  double expected_mutual_info = 0;  ///< over all labelings with the same cluster sizes (Vinh, Epps & Bailey 2010)
  double fowlkes_mallows = 0;       ///< geometric mean of pair precision and pair recall
  double rand_score = 0;            ///< fraction of pairs on which the two agree
};
ClusterAgreement cluster_agreement(const Tensor& truth, const Tensor& predicted);
}  // namespace sdg::metrics
