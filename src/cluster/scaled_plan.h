#pragma once
#include <cstdint>
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {

/// The matrix form of Sinkhorn-Knopp for scores whose range is moderate: P_ik = exp((S_ik - max S) / eps) is computed
/// once and kept as float32, the plan is diag(u) P diag(v) with float64 factors, and a sweep reads P once. On the CPU,
/// rows split over the worker pool in blocks that depend on the shape alone, their sums added in order: the number of
/// threads changes no bit. Over ranks each holds its own rows of P, and the sums over samples are those of all.
class ScaledPlan {
 public:
  /// Below this range of S / eps no entry of P leaves float32's normal numbers (which end at e^-87).
  static constexpr double kLargestRange = 80;

  /// scores [B_r, K] on the CPU, finite, of this rank; of all ranks' scores `largest` is the maximum, and they have
  /// `samples` rows.
  ScaledPlan(const Tensor& scores, double epsilon, double largest, int64_t samples, Reducer& reducer);
  /// Gives each cluster the share 1/K.
  void scale_clusters();
  /// Gives each sample the share 1/B.
  void scale_samples();
  /// Largest relative distance of a cluster's share from 1/K.
  double marginal_error() const;
  struct Finished {
    Tensor assignments;             ///< [B_r, K] float32, rows scaled to 1
    std::vector<double> sums;       ///< [K] of its columns, over all ranks
    std::vector<int64_t> argmaxes;  ///< [B_r]
  };
  /// The plan with its samples scaled to 1; P becomes it, so this comes last.
  Finished finish();

 private:
  template <class Visit>
  void for_each_row(const Visit& visit);
  int64_t own_, samples_, clusters_, rows_;  // samples of this rank and of all; rows_ a block
  Tensor plan_;                              // P
  std::vector<double> v_, sums_;             // [K]: factors; sums over the samples of u P
  Reducer& reducer_;
};

}  // namespace sdg::cluster
