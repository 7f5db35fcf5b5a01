#pragma once
#include <string>
#include <utility>
#include <vector>

#include "sdg/evaluate/gather.h"

namespace sdg::evaluate {

struct ScoreOptions {
  int64_t subsets = 100, subset_size = 1000;  ///< kernel distance
  int64_t splits = 10;                        ///< Inception Score
  int64_t resamples = 100;                    ///< interval
  double level = 0.95;                        ///< of the interval
  int64_t points = 15;                        ///< extrapolation
};

/// One value under its own name, and what belongs to it ("deviation", "subset_size", …).
struct Score {
  std::string name;
  double value = 0;
  std::vector<std::pair<std::string, double>> details;
};

/// The metrics, in their order, of two sides in the extractor's features. Warns where there are fewer images than
/// features. Throws Error where a metric cannot be taken of so few images.
std::vector<Score> score(const std::vector<Metric>& metrics, const Side& measured, const Side& reference,
                         const vision::FeatureExtractor& extractor, const ScoreOptions& options = {});

/// Says by a warning that a covariance of so many images of `text` has no full rank; 0 images are none.
void warn_of_few(const std::string& text, int64_t images, int64_t features);

}  // namespace sdg::evaluate
