#pragma once
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "sdg/cludi/options.h"
#include "sdg/cluster/learned.h"
#include "sdg/conditions/offline_kmeans.h"
#include "sdg/conditions/swav_head.h"

/// Clusters of given features by several methods that answer alike: k-means, a Sinkhorn-balanced head, CLUDI.
namespace sdg::conditions {

enum class ClusterMethod { kCludi, kKmeans, kSinkhorn, kHead };
constexpr auto names_of(ClusterMethod) {
  return std::array{"cludi", "kmeans", "sinkhorn", "head"};
}

/// OfflineKmeans as options.
struct KmeansSettings {
  int64_t restarts = 10, iterations = 100, minibatch = 0;
  cluster::KmeansStart start = cluster::KmeansStart::kPlusPlus;
  bool standardize = true, l2 = false;
  void visit(config::Fields& fields);
};

/// Everything that clusters of features depend on besides the features.
struct FeatureClustering {
  ClusterMethod method = ClusterMethod::kCludi;
  int64_t clusters = 10;
  int64_t seed = 0;
  KmeansSettings kmeans;
  SwavOptions sinkhorn;
  cludi::CludiOptions cludi;
  void visit(config::Fields& fields);
};

/// Throws Error, naming `where`, for features [N, F] of which K clusters cannot be made: K below 2 or above N, numbers
/// that are not finite, fewer than K different rows. Warns of rows of zeros, which have no direction.
void check_features(const Tensor& features, int64_t clusters, const std::string& where);

/// k-means with all that it answers but probabilities, which are sure_probabilities(): where N and K are large nobody
/// has room for them.
cluster::Answer kmeans_answer(const Tensor& features, const FeatureClustering& options, const Progress& progress = {},
                              Reducer& reducer = Reducer::local(), PseudoLabels* figures = nullptr);

/// [N, K] float32: 1 at each row's cluster, 0 elsewhere.
Tensor sure_probabilities(const Tensor& ids, int64_t clusters);

/// [K, P] the mean embedding of each cluster's rows, of a cluster without rows the prototype, all of the length
/// sqrt(P), the tokens' own: for condition.told centroid, as condition.token centroid tells clusters that are found in
/// the run.
Tensor centroids_to_tell(const cluster::Answer& answer);

/// The learning methods (cludi, sinkhorn) as they begin.
std::unique_ptr<cluster::Learned> learner_for(const Tensor& features, const FeatureClustering& options);

/// Which features a learner was made for: their digest, by which a stored learner knows them again, and their width.
struct FeatureKey {
  std::string digest;
  int64_t width = 0;
};
FeatureKey key_of(const Tensor& features);

/// Stores a learner between two steps: its tensors, the options as YAML, the steps done, whose features they are.
void write_state(const std::filesystem::path& path, const cluster::Learned& learner, const FeatureClustering& options,
                 const FeatureKey& features);
/// The options that such a file was written with. Throws Error for a file that is none, or of features of another
/// width.
FeatureClustering options_of_state(const std::filesystem::path& path, int64_t width);
/// Takes the learner to where the file left off; returns the steps done. Throws UsageError where it was written with
/// other options (those of the answer are free to change) or other features.
int64_t resume_state(const std::filesystem::path& path, cluster::Learned& learner, const FeatureClustering& options,
                     const FeatureKey& features);
/// The same to ask a finished learner about any features of its width: neither they nor the number of steps count.
void load_state(const std::filesystem::path& path, cluster::Learned& learner, const FeatureClustering& options);

}  // namespace sdg::conditions
