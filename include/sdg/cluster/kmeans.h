#pragma once
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
/// Lloyd's k-means with k-means++ starts on x [N, D]; empty clusters are reseeded at the farthest points. Throws Error if K > N.
KmeansResult kmeans(const Tensor& x, const KmeansOptions& options, const Progress& progress = {});
/// Nearest centroid of each row, int64 [N].
Tensor nearest_centroid(const Tensor& x, const Tensor& centroids);
/// Mean and standard deviation (1 where a column is constant) of the columns of x: to standardise features before clustering.
struct Standardizer {
  Tensor mean, deviation;
  static Standardizer fit(const Tensor& x);
  Tensor apply(const Tensor& x) const;
};
}  // namespace sdg::cluster
