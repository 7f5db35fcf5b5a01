#include "sdg/regions/patch_clusters.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/core/shape.h"

namespace sdg::regions {
namespace {

constexpr int64_t kImagesAtOnce = 64;
constexpr int64_t kMostClusters = 254;

std::vector<int64_t> piece(int64_t first, int64_t images) {
  return rng::consecutive(first, std::min(kImagesAtOnce, images - first));
}

// Rows [n * L, D] as they are clustered.
Tensor prepared(const Tensor& patches, const std::vector<int64_t>& images, bool l2) {
  check_shape(patches, {static_cast<int64_t>(images.size()), -1, -1}, "patches");
  const auto rows = patches.flatten(0, 1).to(at::kCPU, at::kFloat);
  const auto length = rows.norm(2, {1}, true);
  const auto good = rows.isfinite().all(1).logical_and(l2 ? length.squeeze(1).gt(0) : at::ones({1}, at::kBool));
  if (!good.all().item<bool>()) {
    const auto bad = good.to(at::kByte).argmin().item<int64_t>(), each = patches.size(1);
    throw Error(cat("patches: the vector of patch ", bad % each, " of image ", images[static_cast<size_t>(bad / each)],
                    rows[bad].isfinite().all().item<bool>() ? " is all zeros: it has no direction"
                                                            : " holds numbers that are not finite"));
  }
  return l2 ? rows / length : rows;
}

int64_t side_of(int64_t patches) {
  int64_t side = 1;
  while (side * side < patches) ++side;
  SDG_CHECK(side * side == patches, "patches: expected a square of them, got ", patches, " an image");
  return side;
}

// As many patches of each image as make `fit_patches` of all, drawn by its number.
Tensor sample(const PatchFn& patches, int64_t images, const PatchClusterOptions& options, const Progress& progress) {
  std::vector<Tensor> kept;
  for (int64_t first = 0; first < images; first += kImagesAtOnce) {
    const auto own = piece(first, images);
    const auto all = patches(own);
    const auto rows = prepared(all, own, options.l2).view({all.size(0), all.size(1), all.size(2)});
    const auto each = std::clamp<int64_t>((options.fit_patches + images - 1) / images, 1, all.size(1));
    const auto order =
        rng::uniform({options.kmeans.seed, rng::Purpose::kSubset, 1}, own, {all.size(1)}).argsort(1, false);
    const auto which = order.slice(1, 0, each).unsqueeze(2).expand({-1, -1, all.size(2)});
    kept.push_back(rows.gather(1, which).flatten(0, 1));
    if (progress) progress(first + all.size(0), 2 * images);
  }
  return at::cat(kept);
}

}  // namespace

PatchClusters cluster_patches(const PatchFn& patches, int64_t images, const PatchClusterOptions& options,
                              const Progress& progress) {
  SDG_CHECK(images > 0, "patches: no images");
  SDG_CHECK_USAGE(options.kmeans.clusters >= 2 && options.kmeans.clusters <= kMostClusters,
                  "clusters: a map of bytes holds 2 to ", kMostClusters, " clusters of patches, got ",
                  options.kmeans.clusters);
  const auto fitted = sample(patches, images, options, progress);
  SDG_CHECK(fitted.size(0) >= options.kmeans.clusters, "clusters: ", options.kmeans.clusters, " clusters of ",
            fitted.size(0), " patches");
  PatchClusters out;
  out.centroids = cluster::kmeans(fitted, options.kmeans).centroids.cpu();
  std::vector<Tensor> maps;
  for (int64_t first = 0; first < images; first += kImagesAtOnce) {
    const auto own = piece(first, images);
    const auto all = patches(own);
    const auto side = side_of(all.size(1));
    const auto ids = cluster::nearest_centroid(prepared(all, own, options.l2), out.centroids);
    maps.push_back(ids.to(at::kByte).view({all.size(0), side, side}));
    if (progress) progress(images + first + all.size(0), 2 * images);
  }
  out.maps = at::cat(maps);
  return out;
}

Tensor enlarge(const Tensor& maps, int64_t to) {
  check_shape(maps, {-1, -1, -1}, "maps");
  const auto from = [&](int64_t size) { return ((at::arange(to) * 2 + 1) * size).div(2 * to, "floor"); };
  return maps.index_select(1, from(maps.size(1))).index_select(2, from(maps.size(2)));
}

}  // namespace sdg::regions
