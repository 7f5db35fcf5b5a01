#pragma once
#include <functional>
#include <vector>

#include "sdg/cluster/kmeans.h"
#include "sdg/core/progress.h"

namespace sdg::regions {

/// Vectors of the patches of images, float [n, L, D], L in rows of a square.
using PatchFn = std::function<Tensor(const std::vector<int64_t>& images)>;

struct PatchClusterOptions {
  cluster::KmeansOptions kmeans;
  int64_t fit_patches = 200000;  ///< at most so many, drawn from all, the centroids are fitted to
  bool l2 = true;                ///< rows to length 1 first
};

/// Clusters of the patches of a whole data set: k-means of a sample of them, and of each image the nearest centroid of
/// each patch. uint8 [images, side, side], side * side = L. Memory holds the sample and one piece of images. A function
/// of patches and options. Throws Error for more than 254 clusters (255 is no class), for fewer patches than clusters,
/// and, naming image and patch, for vectors that are not finite or, with l2, all zeros.
struct PatchClusters {
  Tensor maps;
  Tensor centroids;  ///< float32 [K, D], of rows as they were clustered
};
PatchClusters cluster_patches(const PatchFn& patches, int64_t images, const PatchClusterOptions& options,
                              const Progress& progress = {});

/// uint8 [N, side, side] -> [N, to, to]: each pixel the class of the patch that its middle lies in.
Tensor enlarge(const Tensor& maps, int64_t to);

}  // namespace sdg::regions
