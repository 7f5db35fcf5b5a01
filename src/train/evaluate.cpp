#include "sdg/train/evaluate.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/train/assign.h"

namespace sdg::train {
namespace {
constexpr int64_t kBatch = 128;
}

metrics::Gaussian dataset_statistics(const data::Dataset& dataset, metrics::FeatureExtractor& extractor, int64_t limit,
                                     const Progress& progress) {
  const auto indices = evaluation_subset(dataset.size(), limit > 0 ? limit : dataset.size(), 0);
  metrics::GaussianAccumulator accumulator(extractor.dim());
  const auto total = static_cast<int64_t>(indices.size());
  for (int64_t i = 0; i < total; i += kBatch) {
    const int64_t n = std::min(kBatch, total - i);
    accumulator.add(extractor.features(dataset.images(at::IntArrayRef(indices.data() + i, static_cast<size_t>(n)))));
    if (progress) progress(i + n, total);
  }
  return accumulator.result();
}

metrics::Gaussian image_statistics(const Tensor& images, metrics::FeatureExtractor& extractor,
                                   const Progress& progress) {
  metrics::GaussianAccumulator accumulator(extractor.dim());
  for (int64_t i = 0; i < images.size(0); i += kBatch) {
    const auto piece = images.slice(0, i, std::min(images.size(0), i + kBatch));
    accumulator.add(extractor.features(piece));
    if (progress) progress(i + piece.size(0), images.size(0));
  }
  return accumulator.result();
}

metrics::Gaussian sample_statistics(const Trained& trained, const GenerateOptions& options, const at::Device& device,
                                    metrics::FeatureExtractor& extractor, const Progress& progress) {
  metrics::GaussianAccumulator accumulator(extractor.dim());
  generate(
      trained.info.config, trained.network, trained.prior, device, options,
      [&](const Generated& piece) { accumulator.add(extractor.features(piece.images)); }, progress);
  return accumulator.result();
}

ClusterReport evaluate_clusters(const RunConfig& config, const Network& network, const data::Dataset& dataset,
                                const Truth& truth, const at::Device& device, const Progress& progress) {
  ClusterReport report;
  report.indices = evaluation_subset(dataset.size(), config.eval.cluster_images, 0);
  report.images = static_cast<int64_t>(report.indices.size());
  report.assignments = assign_clusters(config, network, dataset, report.indices, device, progress);
  report.used = std::get<0>(at::_unique(report.assignments)).size(0);
  if (truth.masks && patch_level(config)) {
    report.segmentation =
        segmentation_scores(report.assignments, report.indices, config.cluster.clusters, *truth.masks);
  }
  if (truth.labels && !patch_level(config)) {
    report.scores =
        metrics::cluster_scores(truth.labels->labels().index_select(0, at::tensor(report.indices)), report.assignments);
    report.scored = true;
  }
  return report;
}

metrics::SegmentationScores segmentation_scores(const Tensor& maps, const std::vector<int64_t>& indices,
                                                int64_t clusters, const data::MaskSource& masks) {
  const auto side = std::llround(std::sqrt(static_cast<double>(maps.size(1))));
  std::vector<Tensor> truth;
  for (const auto index : indices) truth.push_back(masks.mask(index));
  const auto all = at::stack(truth).to(at::kLong);  // [n, H, W]
  const auto height = all.size(1);
  SDG_CHECK(height == all.size(2) && side * side == maps.size(1) && height % side == 0, "masks: expected a side of ",
            side, " or a multiple of it, as the maps of clusters have, got ", all.size(2), " x ", height);
  const auto block = height / side;
  const auto large = maps.view({-1, side, side}).repeat_interleave(block, 1).repeat_interleave(block, 2);  // [n, H, W]
  const auto scored = all.ne(data::MaskSource::kIgnored);
  const auto classes = all.masked_fill(~scored, 0).max().item<int64_t>() + 1;
  metrics::SegmentationScorer scorer(clusters, classes, data::MaskSource::kIgnored);
  scorer.add(large, all);
  return scorer.scores();
}

}  // namespace sdg::train
