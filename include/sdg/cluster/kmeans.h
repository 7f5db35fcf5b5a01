#pragma once
#include <array>

#include "sdg/cluster/standardizer.h"
#include "sdg/core/progress.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {
/// Where the centroids begin: greedy k-means++ (Arthur & Vassilvitskii 2007), costs about K ln K passes over x; or K
/// different rows.
enum class KmeansStart { kPlusPlus, kRandom };
constexpr auto names_of(KmeansStart) {
  return std::array{"plusplus", "random"};
}

struct KmeansOptions {
  int64_t clusters = 10;
  int64_t iterations = 100;  ///< at most, of Lloyd (stops when assignments settle) or passes of mini-batches
  int64_t restarts = 4;      ///< independent starts; the one of lowest inertia is kept
  uint64_t seed = 0;
  KmeansStart start = KmeansStart::kPlusPlus;
  int64_t minibatch = 0;  ///< 0: Lloyd on all rows; else mini-batch k-means with this many rows a step
};
struct KmeansResult {
  Tensor centroids;    ///< [K, D] float32
  Tensor assignments;  ///< [N] int64
  double inertia = 0;  ///< sum of squared distances to the own centroid
  int64_t iterations = 0;
};
/// k-means on x [N, D] float: Lloyd's iterations, whose empty clusters are reseeded at the farthest points, or for
/// large N mini-batches (Sculley 2010) with a start on a sample and a last assignment of all rows. Distances are
/// computed in blocks of rows, so memory beyond x stays bounded; blocks run on the worker pool. A function of x and the
/// options. Over ranks, all of which have all of x, each computes the distances of some of the same blocks, so that not
/// a bit differs. `progress` counts iterations over all restarts (a restart that ends early jumps ahead). Throws Error
/// if K > N or x is not finite.
KmeansResult kmeans(const Tensor& x, const KmeansOptions& options, const Progress& progress = {},
                    Reducer& reducer = Reducer::local());
/// Nearest centroid [K, D] of each row of x [N, D], int64 [N]; the lower index where two are equally near.
Tensor nearest_centroid(const Tensor& x, const Tensor& centroids);
}  // namespace sdg::cluster
