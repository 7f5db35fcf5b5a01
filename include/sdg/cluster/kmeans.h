#pragma once
#include "sdg/cluster/standardizer.h"
#include "sdg/core/progress.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {
struct KmeansOptions {
  int64_t clusters = 10;
  int64_t iterations = 100;  ///< Lloyd iterations at most; stops when assignments no longer change
  int64_t restarts = 4;      ///< independent k-means++ starts; the one of lowest inertia is kept
  uint64_t seed = 0;
};
struct KmeansResult {
  Tensor centroids;    ///< [K, D] float32
  Tensor assignments;  ///< [N] int64
  double inertia = 0;  ///< sum of squared distances to the own centroid
  int64_t iterations = 0;
};
/// Lloyd's k-means with greedy k-means++ starts (Arthur & Vassilvitskii 2007) on x [N, D] float; empty clusters are
/// reseeded at the farthest points. Distances are computed in blocks of rows, so memory beyond x stays bounded. A
/// function of x and the options. `progress` counts Lloyd iterations over all restarts (a restart that ends early jumps
/// ahead). Throws Error if K > N or x is not finite.
KmeansResult kmeans(const Tensor& x, const KmeansOptions& options, const Progress& progress = {});
/// Nearest centroid [K, D] of each row of x [N, D], int64 [N]; the lower index where two are equally near.
Tensor nearest_centroid(const Tensor& x, const Tensor& centroids);
}  // namespace sdg::cluster
