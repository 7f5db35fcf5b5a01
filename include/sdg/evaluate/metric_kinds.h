#pragma once
#include <array>
#include <string>
#include <vector>

#include "sdg/vision/feature_extractor.h"

namespace sdg::evaluate {

/// Which metric, by the name of its kind; what it is called depends on the features (metric_title).
enum class Metric {
  kFrechet,       ///< Fréchet distance of the features: FID in Inception's
  kSpatial,       ///< the same of 7 channels over space as ADM's evaluator takes them: sFID
  kSpatialBlock,  ///< the same as sgfm and dgm-eval take them, other numbers
  kScore,         ///< Inception Score, in other classifiers' logits where they have some
  kKernel,        ///< kernel distance: KID
  kManifold,      ///< improved precision and recall (k 3)
  kDensity,       ///< density and coverage (k 5)
  kLimit,         ///< Fréchet distance extrapolated to infinitely many images
  kInterval,      ///< bootstrap interval of the Fréchet distance
  kMemorised,     ///< are generated images too near to training images?
};
constexpr auto names_of(Metric) {
  return std::array{"fid", "sfid", "sfid-block", "is", "kid", "pr", "dc", "fid-infinity", "fid-interval", "memorised"};
}

/// What a metric takes.
struct MetricNeeds {
  bool measured_rows = false;   ///< features of the measured images themselves, not only their mean and covariance
  bool reference_rows = false;  ///< those of the reference
  bool reference = true;        ///< a reference at all
  vision::Layer layer = vision::Layer::kPooled;
};
MetricNeeds needs_of(Metric metric);

/// Names with commas between, "prdc" for "pr,dc", "all" for every metric that the extractor's layers allow. Throws
/// UsageError for an unknown name, and for a metric whose layer the extractor lacks.
std::vector<Metric> parse_metrics(const std::string& text, const vision::FeatureExtractor& extractor);

/// What a value is called: "FID", "KID" and "precision" in Inception's features, "FD-digits", "KD-digits" and
/// "precision-digits" in others'.
std::string metric_title(const std::string& base, const vision::FeatureExtractor& extractor);

}  // namespace sdg::evaluate
