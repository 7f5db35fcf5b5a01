#include "sdg/evaluate/evaluate.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/metrics/statistics.h"
#include "sdg/network/assign.h"

namespace sdg::evaluate {
namespace {
constexpr int64_t kBatch = 128;
}

metrics::Gaussian dataset_statistics(const data::Dataset& dataset, vision::FeatureExtractor& extractor, int64_t limit,
                                     const Progress& progress) {
  const auto indices = network::evaluation_subset(dataset.size(), limit > 0 ? limit : dataset.size(), 0);
  metrics::Statistics statistics(extractor);
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t i = 0; i < total; i += kBatch) {
    const int64_t n = std::min(kBatch, total - i);
    const auto images = dataset.images(at::IntArrayRef(indices.data() + i, static_cast<size_t>(n)));
    std::vector<int64_t> rows;  // of images that are not broken: a replacement would count twice
    for (int64_t row = 0; row < n; ++row) {
      const int64_t index = indices[static_cast<size_t>(i + row)];
      if (dataset.shown(index) == index) rows.push_back(row);
    }
    if (!rows.empty()) statistics.add(images.index_select(0, at::tensor(rows)));
    if (progress) progress(i + n, total);
  }
  return statistics.result();
}

metrics::Gaussian sample_statistics(const checkpoint::Trained& trained, const generate::Request& request,
                                    const at::Device& device, vision::FeatureExtractor& extractor,
                                    const Progress& progress) {
  metrics::Statistics statistics(extractor);
  generate::generate(
      trained.info.config, trained.network, trained.prior, device, request,
      [&](const generate::Generated& piece) { statistics.add(piece.images); }, progress);
  return statistics.result();
}

ClusterReport evaluate_clusters(const recipe::RunConfig& config, const network::Network& network,
                                const data::Dataset& dataset, const Truth& truth, const at::Device& device,
                                const Progress& progress) {
  ClusterReport report;
  report.indices = network::evaluation_subset(dataset, config.eval.cluster_images, 0);
  report.images = static_cast<int64_t>(report.indices.size());
  report.assignments = network::assign_clusters(config, network, dataset, report.indices, device, progress);
  report.used = std::get<0>(at::_unique(report.assignments)).size(0);
  if (truth.masks && network::patch_level(config)) {
    report.segmentation =
        segmentation_scores(report.assignments, report.indices, config.cluster.clusters, *truth.masks);
  }
  if (truth.labels && !network::patch_level(config)) {
    report.scores =
        metrics::cluster_scores(truth.labels->labels().index_select(0, at::tensor(report.indices)), report.assignments);
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
