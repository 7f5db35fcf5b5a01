#pragma once
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/conditions/given_conditions.h"
#include "sdg/core/progress.h"

namespace sdg::conditions {

/// Where the conditions of a run are got from: one class for each condition.source. What a source means to the network
/// and its training is recipe/source.h; a new source is a value there, a class here and nothing else.
class ConditionSource {
 public:
  virtual ~ConditionSource() = default;

  /// What is known of each image before training begins, see given_conditions(), which checks and keys it. A source
  /// that is given nothing leaves `ids` undefined.
  virtual GivenConditions given(const ConditionContext& /*context*/) const { return {}; }
  /// What `given` was read from, for messages.
  virtual std::string origin(const ConditionContext& context) const { return context.opened.path; }

  /// Clusters (or classes) of images as the run conditions on them, see condition_ids().
  virtual Tensor ids_of(const checkpoint::Trained& trained, const data::OpenedData& opened,
                        const data::Dataset& dataset, const std::vector<int64_t>& indices, const at::Device& device,
                        const Progress& progress) const = 0;
};

const ConditionSource& condition_source(recipe::Source source);

/// Clusters of the given images as the run conditions on them, int64 [n] (patch level [n, L]): for source online the
/// teacher's assignment, for kmeans and file the stored index, for label the class. Throws UsageError for source none.
Tensor condition_ids(const checkpoint::Trained& trained, const data::OpenedData& opened, const data::Dataset& dataset,
                     const std::vector<int64_t>& indices, const at::Device& device, const Progress& progress = {});

/// How many clusters (or classes) such ids are of: those of the run's head or k-means, else as many as the checkpoint
/// knows or `ids` say.
int64_t cluster_count(const checkpoint::Trained& trained, const Tensor& ids);

}  // namespace sdg::conditions
