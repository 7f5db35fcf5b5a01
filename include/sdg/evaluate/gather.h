#pragma once
#include <optional>
#include <string>
#include <vector>

#include "sdg/evaluate/metric_kinds.h"
#include "sdg/metrics/features.h"
#include "sdg/metrics/gaussian.h"

namespace sdg::evaluate {

/// One side of a comparison, as metrics take it: what was asked for of it, the rest is empty.
struct Side {
  std::string text;                  ///< how messages name it
  bool stored = false;               ///< from a file of statistics, which may hold rows, too
  metrics::Gaussian pooled;          ///< with extractor, weights and size
  metrics::Gaussian spatial, block;  ///< mean and covariance of the other layers
  Tensor rows;                       ///< [n, D] features themselves
  Tensor logits;                     ///< [n, classes]
  std::string fingerprint;           ///< digest of the images in their order, or of the statistics
};

/// What of a side is wanted.
struct Wanted {
  bool spatial = false, block = false, rows = false, logits = false;
  int64_t keep = 50000;  ///< rows at most, a uniform sample beyond (metrics::FeatureCollector)
};
Wanted wanted_of(const std::vector<Metric>& metrics, bool measured);

/// Images go through the network once, whatever is wanted. Throws Error for fewer than two images. Over ranks, whose
/// feeds are alike, rank 0's; nothing on the others, which compute features for it.
Side gather(const metrics::ImageFeed& feed, vision::FeatureExtractor& extractor, const Wanted& wanted,
            Reducer& reducer = Reducer::local());

/// Statistics of a file, and its rows where metrics want them, `keep` at most as in gather. Throws Error where it lacks
/// what is wanted, naming it, and as check_comparable does.
Side stored_side(const std::string& path, const vision::FeatureExtractor& extractor, const std::vector<Metric>& metrics,
                 bool measured, int64_t keep = Wanted().keep);

}  // namespace sdg::evaluate
