#pragma once
#include "sdg/core/tensor.h"

namespace sdg::cluster {

struct SinkhornOptions {
  double epsilon = 0.05;    ///< entropy of the assignment: smaller is sharper
  int64_t iterations = 3;   ///< sweeps; the public code stops after 3
  double tolerance = 0;     ///< > 0: go on (up to max_iterations) until the marginal error is below it
  int64_t max_iterations = 1000;
};

struct SinkhornResult {
  Tensor assignments;      ///< [B, K] float32, each row sums to 1
  double marginal_error;   ///< largest |column sum - B/K| / (B/K): how far the clusters are from equal shares
  int64_t used_clusters;   ///< clusters that are some sample's argmax
  double entropy;          ///< of the mean assignment, in nats; ln K when clusters are equally used
  int64_t iterations;      ///< sweeps done
};

/// Balanced soft assignment (Sinkhorn-Knopp, Cuturi 2013; as used by SwAV 2006.09882), in the log domain and float64 inside: finite for
/// any finite scores and any B, K >= 1. scores [B, K]. Same numbers as the public exp-domain code where that one does not overflow.
SinkhornResult sinkhorn(const Tensor& scores, const SinkhornOptions& options = {});

/// The swapped-prediction loss of each sample: -sum_k Q_ik log softmax(scores_i / temperature)_k, [B]. Q is detached.
Tensor assignment_loss(const Tensor& scores, const Tensor& assignments, double temperature = 0.1);

}  // namespace sdg::cluster
