#pragma once
#include <optional>

#include "sdg/core/progress.h"
#include "sdg/data/dataset.h"
#include "sdg/metrics/clustering.h"
#include "sdg/metrics/segmentation.h"
#include "sdg/network/network.h"

namespace sdg::evaluate {

/// What clusters are scored against; each may be null.
struct Truth {
  const data::LabelSource* labels = nullptr;  ///< image level
  const data::MaskSource* masks = nullptr;    ///< patch level
};

/// How well the clusters of a network agree with labels that it never saw.
struct ClusterReport {
  metrics::ClusterAgreement scores;  ///< only where labels were given
  bool scored = false;
  std::optional<metrics::SegmentationScores> segmentation;  ///< patch level, where masks were given
  int64_t used = 0;                                         ///< clusters with at least one image
  int64_t images = 0;
  Tensor assignments;            ///< int64 [images] (patch level [images, L], which image labels cannot score)
  std::vector<int64_t> indices;  ///< which images
};
/// Evaluation only: nothing of it flows back into training. Over ranks as network::assign_clusters.
ClusterReport evaluate_clusters(const recipe::RunConfig& config, const network::Network& network,
                                const data::Dataset& dataset, const Truth& truth, const at::Device& device,
                                const Progress& progress = {}, Reducer& reducer = Reducer::local());

/// Maps of clusters int64 [n, L] (L a square) of the images `indices` against their masks, pixel by pixel: each pixel
/// of the mask's middle square, which is what the model sees, gets the cluster of the patch it lies in. Nothing where
/// all pixels are ignored.
std::optional<metrics::SegmentationScores> segmentation_scores(const Tensor& maps, const std::vector<int64_t>& indices,
                                                               int64_t clusters, const data::MaskSource& masks);

}  // namespace sdg::evaluate
