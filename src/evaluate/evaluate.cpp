#include "sdg/evaluate/evaluate.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/network/assign.h"

namespace sdg::evaluate {
ClusterReport evaluate_clusters(const recipe::RunConfig& config, const network::Network& network,
                                const data::Dataset& dataset, const Truth& truth, const at::Device& device,
                                const Progress& progress, Reducer& reducer) {
  ClusterReport report;
  report.indices = network::evaluation_subset(dataset, config.eval.cluster_images, 0);
  report.images = static_cast<int64_t>(report.indices.size());
  report.assignments = network::assign_clusters(config, network, dataset, report.indices, device, progress, reducer);
  report.used = std::get<0>(at::_unique(report.assignments)).size(0);
  if (truth.masks && network::patch_level(config)) {
    report.segmentation =
        segmentation_scores(report.assignments, report.indices, config.cluster.clusters, *truth.masks);
  }
  if (truth.labels && !network::patch_level(config)) {
    report.scores = metrics::cluster_agreement(truth.labels->labels().index_select(0, at::tensor(report.indices)),
                                               report.assignments);
    report.scored = true;
  }
  return report;
}

namespace {

// The square in the middle that the model sees of an image (ADM's crop), at the mask's own resolution.
Tensor centre_square(const Tensor& mask) {
  const auto side = std::min(mask.size(0), mask.size(1));
  return mask.narrow(0, (mask.size(0) - side) / 2, side).narrow(1, (mask.size(1) - side) / 2, side);
}

}  // namespace

std::optional<metrics::SegmentationScores> segmentation_scores(const Tensor& maps, const std::vector<int64_t>& indices,
                                                               int64_t clusters, const data::MaskSource& masks) {
  const auto side = std::llround(std::sqrt(static_cast<double>(maps.size(1))));
  SDG_CHECK(side * side == maps.size(1), "segmentation: expected a square map, got ", maps.size(1), " patches");
  int64_t classes = 1;
  for (const auto index : indices) {
    const auto mask = masks.mask(index);
    classes = std::max(classes, mask.masked_fill(mask == data::MaskSource::kIgnored, 0).max().item<int64_t>() + 1);
  }
  metrics::SegmentationScorer scorer(clusters, classes, data::MaskSource::kIgnored);
  for (size_t i = 0; i < indices.size(); ++i) {
    const auto mask = centre_square(masks.mask(indices[i]));
    const auto size = mask.size(0);
    const auto patch = at::floor_divide(at::arange(size) * side, size);  // in which each row (or column) of pixels lies
    const auto map = maps[static_cast<int64_t>(i)].view({side, side});
    scorer.add(map.index_select(0, patch).index_select(1, patch), mask);
  }
  if (scorer.pixels() == 0) return std::nullopt;
  return scorer.scores();
}

}  // namespace sdg::evaluate
