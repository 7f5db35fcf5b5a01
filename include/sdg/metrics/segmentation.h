#pragma once
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::metrics {

/// How well maps of clusters, which know no class names, cut images into the classes of given masks.
struct SegmentationScores {
  double miou = 0;               ///< mean over classes of intersection / union, clusters matched one to one
  double accuracy = 0;           ///< share of pixels whose cluster's class is theirs, under that matching
  double miou_majority = 0;      ///< the same where each cluster stands for the class it overlaps most, so that several
  double accuracy_majority = 0;  ///< clusters may share a class; never below for accuracy, and rises with K
  std::vector<double> iou;       ///< of each class under the one-to-one matching; -1 for a class without a pixel
  int64_t pixels = 0;            ///< scored
};

/// Counts pixels by (cluster, class) and scores them. The one-to-one matching is the one of the largest number of
/// agreeing pixels (Hungarian, as is customary for unsupervised segmentation); clusters left over match no class, and
/// their pixels count against the class they lie in.
class SegmentationScorer {
 public:
  SegmentationScorer(int64_t clusters, int64_t classes, int64_t ignored = 255);
  static constexpr int64_t kUnnamed = -1;
  /// predicted int64 [...] in 0..clusters-1, or kUnnamed, which counts against the class it lies in; truth any integer
  /// type of the same shape, in 0..classes-1 or ignored. Throws Error for other values or shapes.
  void add(const Tensor& predicted, const Tensor& truth);
  int64_t pixels() const { return counts_.sum().item<int64_t>() + unnamed_.sum().item<int64_t>(); }
  /// Throws Error where no pixel was added.
  SegmentationScores scores() const;

 private:
  int64_t ignored_;
  Tensor counts_;   // int64 [clusters, classes]
  Tensor unnamed_;  // int64 [classes]
};

}  // namespace sdg::metrics
