#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/network/stored_conditions.h"
#include "sdg/recipe/options.h"

/// What images are told of a file of conditions (condition.file), by condition.told.
namespace sdg::conditions {

struct ToldConditions {
  std::shared_ptr<const network::StoredConditions> stored;  ///< null where images are told an index alone
  Tensor ids;           ///< int64 [images]: that index, or the image's row of `stored`
  int64_t classes = 0;  ///< indices are below; 0 where there are none
};

/// Told stored: whatever the file holds (stored_file.h, pseudo_labels.h). The others read a file of clusters as `sdg
/// kmeans` writes it: cluster its `ids`; centroid the rows `centroids` float [K, F] of these; feat `features` float
/// [N, F]; knn_feat those of `neighbours` int64 [N, k], k >= 1, of which each time another is drawn. Throws Error,
/// naming file and tensor, for what is missing, of another size, not finite or out of range.
ToldConditions read_told(const std::filesystem::path& path, int64_t images, int64_t size, recipe::Told told);

/// Digest of what images are told, by which a run knows it again.
std::string told_key(const ToldConditions& told);

/// Makes a trained network draw under the conditions of another file of the kind that it was trained on: gives the
/// condition index, or the row of what is now `trained.network.stored`, of each image of the file, int64 [images], told
/// as condition.told says. Throws UsageError for a run of another source, and Error where the file's conditions are of
/// another kind, width or number of classes.
Tensor tell_of(const std::filesystem::path& path, checkpoint::Trained& trained);

/// How many images a file of conditions is for; 0 where none of its tensors says.
int64_t images_of(const std::filesystem::path& path);

}  // namespace sdg::conditions
