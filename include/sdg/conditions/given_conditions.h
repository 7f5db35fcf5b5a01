#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/conditions/offline_kmeans.h"
#include "sdg/data/dataset.h"

namespace sdg::conditions {

/// The condition indices that a run is given before it begins: of source label, kmeans and file.
struct GivenConditions {
  Tensor ids;  ///< int64 [data set size], with `stored` the numbers of its rows; undefined for other sources
  int64_t classes = 0;
  std::vector<std::string> class_names;                     ///< source label
  PseudoLabelOrigin origin;                                 ///< source kmeans and file
  std::string key;                                          ///< digest of ids, or of the stored conditions
  std::shared_ptr<const network::StoredConditions> stored;  ///< source file, where conditions are more than an index
};

/// What they are made for, and what is known of it.
struct ConditionContext {
  const recipe::RunConfig& config;
  const checkpoint::RunFolder& folder;
  const sdg::data::OpenedData& opened;
  const sdg::data::Dataset& dataset;
  const sdg::data::Fingerprint& fingerprint;           ///< of the data set
  const checkpoint::CheckpointInfo* before = nullptr;  ///< of the run that goes on; null for a new one
  at::Device device;
  std::function<void(const std::string&)> note;   ///< one line: what was done or could not be compared
  std::function<void(const std::string&)> begin;  ///< one line before work that takes time; may be empty
};

/// Source kmeans keeps its indices in the run's folder: a new run takes stored ones only where they follow from the
/// same network, tap, K, seed and images, a run that goes on only where they are the ones it was trained on, and
/// both make them anew otherwise. Throws UsageError where the data set has no labels for source label, Error where the
/// indices are for another data set, or not those the run was trained on.
GivenConditions given_conditions(const ConditionContext& context);

}  // namespace sdg::conditions
