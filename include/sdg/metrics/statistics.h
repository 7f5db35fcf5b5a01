#pragma once
#include <string>
#include <vector>

#include "sdg/metrics/gaussian.h"
#include "sdg/vision/feature_extractor.h"

namespace sdg::metrics {

/// Gathers the features of images into statistics that know where they come from. The extractor must outlive it.
class Statistics {
 public:
  explicit Statistics(vision::FeatureExtractor& extractor) : extractor_(extractor), sums_(extractor.dim()) {}

  /// uint8 [N, C, H, W]
  void add(const Tensor& images);
  /// uint8 [C, H, W] each, of any sizes: those of one shape go through the network together.
  void add(const std::vector<Tensor>& images);
  /// Of the images of all ranks. Throws Error for fewer than two.
  Gaussian result(Reducer& reducer = Reducer::local()) const;

 private:
  void saw(int64_t height, int64_t width);

  vision::FeatureExtractor& extractor_;
  GaussianAccumulator sums_;
  std::string size_;
};

}  // namespace sdg::metrics
