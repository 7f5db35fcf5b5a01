#pragma once
#include "sdg/core/figure.h"
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {

struct SinkhornOptions {
  double epsilon = 0.05;  ///< entropy of the assignment: smaller is sharper
  int64_t iterations =
      3;  ///< sweeps at least; the public code does 3. 0 gives exp(scores / eps) B / sum, whose rows do not sum to 1
  double tolerance = 0;           ///< > 0: go on until the marginal error is at most this
  int64_t max_iterations = 1000;  ///< with a tolerance: sweeps at most; where the smaller of B and K is at most 2048
                                  ///< instead 100 sweeps, then Newton's method with at most this many evaluations
  bool no_waiting = false;        ///< nothing is read from the scores' device: see below
};

struct SinkhornResult {
  Tensor assignments;      ///< [B, K] float32, each row sums to 1; of this rank's rows, all figures of all ranks'
  int64_t samples = 0;     ///< B
  Figure marginal_error;   ///< largest |column sum - B/K| / (B/K): how far the clusters are from equal shares
  Figure used_clusters;    ///< clusters that are some sample's argmax
  Figure entropy;          ///< of the mean assignment, in nats; ln K when clusters are equally used
  int64_t iterations = 0;  ///< sweeps done, and evaluations by Newton's method
};

/// Balanced soft assignment (Sinkhorn-Knopp, Cuturi 2013; as used by SwAV 2006.09882): finite for any finite scores and
/// any B, K >= 1. scores [B, K]. Same numbers as the public exp-domain code where that one does not overflow: a sweep
/// gives each cluster the share 1/K, then each sample the share 1/B. Scores on the CPU with a range of at most 80
/// epsilon (cosines at the usual epsilon) take the matrix form, float32 entries with float64 factors and sums, on the
/// worker pool; others the log domain in float64. Memory beyond the result: K sums a block of rows. No bit depends on
/// the number of threads. With a tolerance both marginals become exact even where scores are practically a hard
/// assignment (+-1e4 at epsilon 0.05), which sweeps alone do not reach. Without gradient. Throws Error for scores that
/// are not finite.
///
/// Over ranks, scores are a rank's own rows [B_r, K], none perhaps, and the rows of all are balanced together:
/// exchanged are K sums a sweep, for Newton's method the square of K, or where B is below K all scores. Numbers differ
/// from those of one rank by float64 rounding of the sums.
///
/// With no_waiting, for training on a device: the log domain in float32, for that is what cards are fast at and three
/// sweeps need no more; exactly `iterations` sweeps; scores that are not finite are not refused but make assignments
/// that are not; the figures are read when they are used. One rank, no tolerance.
SinkhornResult sinkhorn(const Tensor& scores, const SinkhornOptions& options = {}, Reducer& reducer = Reducer::local());

/// Cross-entropy of each sample's scores [B, K] with its assignment Q [B, K]: -sum_k Q_ik log softmax(scores_i /
/// temperature)_k, [B]. In float32 at least; Q is detached.
Tensor assignment_loss(const Tensor& scores, const Tensor& assignments, double temperature = 0.1);

}  // namespace sdg::cluster
