#pragma once
#include <filesystem>
#include <string>

#include "sdg/checkpoint/provenance.h"
#include "sdg/cluster/kmeans.h"
#include "sdg/cluster/learned.h"
#include "sdg/core/progress.h"
#include "sdg/data/fingerprint.h"
#include "sdg/recipe/run_config.h"
#include "sdg/tensors/tensor_file.h"

/// The offline variant: features of a finished network (or of anything else) are clustered once by k-means, and the
/// clusters are the conditions of another run (condition.source kmeans and file).
namespace sdg::conditions {

struct OfflineKmeans {
  cluster::KmeansOptions kmeans;
  bool standardize = true;  ///< first every column to mean 0 and variance 1
  bool l2 = false;          ///< then every row to length 1, as the paper's k-means does
  bool keep_features = false;
  int64_t neighbours = 0;  ///< k of PseudoLabels::neighbours, all pairs of images compared; 0: none
};

/// Pseudo-labels of a whole data set.
struct PseudoLabels {
  Tensor ids;  ///< int64 [data set size]
  int64_t clusters = 0;
  double inertia = 0;  ///< of the features as they were prepared
  int64_t iterations = 0;
  Tensor centroids{};   ///< float32 [K, F], of the features as they were prepared
  Tensor features{};    ///< float32 [N, F], these; undefined unless kept
  Tensor neighbours{};  ///< int64 [N, k], of each image the k whose features are nearest; undefined unless asked for
};

/// The rows that are clustered: features [N, F] standardised and brought to length 1 as the options say; rows of zeros
/// stay.
Tensor prepared(const Tensor& features, const OfflineKmeans& options);

/// features [N, F] float, N >= clusters; over ranks all of them on each. Warns of rows of zeros that are to be of
/// length 1: they have no direction.
PseudoLabels cluster_features(const Tensor& features, const OfflineKmeans& options, const Progress& progress = {},
                              Reducer& reducer = Reducer::local());

/// How such labels came to be; stored beside them, so that `audit` can follow the chain.
struct PseudoLabelOrigin {
  std::string made_from{};              ///< checkpoint, run or file of features
  std::string label_free{};             ///< its own audit: yes, no, unknown; empty where nothing is known
  std::string tapped{};                 ///< "depth 1, t 0.85, pooling flat"
  checkpoint::Provenance provenance{};  ///< of the network whose features they are
  sdg::data::Fingerprint images{};      ///< of the data set they were made for, where that is known
  std::string recipe{};  ///< digest of all that they follow from; "" where nobody needs to make them again
};

/// `ids`, and `centroids`, `features` and `neighbours` where they are there; metadata: made_from, label_free, tapped,
/// clusters, inertia, the chain, data_fingerprint and recipe.
tensors::TensorFile pseudo_label_file(const PseudoLabels& labels, const PseudoLabelOrigin& origin);

/// The same of clusters that more is known of: besides `ids` the tensors of the answer that are defined, and `method`.
/// condition.source file takes it like the other.
tensors::TensorFile answer_file(const cluster::Answer& answer, const std::string& method, int64_t clusters,
                                const PseudoLabelOrigin& origin);

/// What a file of indices says of its making; empty for files that say nothing (text, npy).
PseudoLabelOrigin pseudo_label_origin(const std::filesystem::path& path);

/// The same of a file of features, as `sdg features --store` writes them; of others only its path. The data set is told
/// only where the features are those of all its images.
PseudoLabelOrigin feature_origin(const std::filesystem::path& path);

/// "depth 1, t 0.85, pooling flat", as PseudoLabelOrigin::tapped; `depth` as resolved.
std::string tap_text(const recipe::RunConfig& config, int64_t depth);

/// float32 [N, F]: tensor `features` (or the only one) of a safetensors or torch file (.pth, .pt), or an .npy. Throws
/// Error for other shapes and for numbers that are not finite.
Tensor read_features(const std::filesystem::path& path);

}  // namespace sdg::conditions
