#pragma once
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/progress.h"
#include "sdg/data/dataset.h"

/// What the clusters of a run are: sizes, change over time, and how close generated images come to training images.
namespace sdg::study {

struct ClusterSizes {
  std::vector<int64_t> counts;    ///< [K]
  double entropy = 0;             ///< of the sizes, as a share of ln K: 1 is perfectly even
  std::vector<int64_t> dead;      ///< clusters without a member
  std::vector<int64_t> dominant;  ///< clusters with more than four times the even share
};
ClusterSizes cluster_sizes(const Tensor& ids, int64_t clusters);

/// Share of entries whose cluster differs between two assignments of the same images.
double churn(const Tensor& before, const Tensor& after);

/// How near generated images come to training images, in pixels (root mean squared difference, 0 to 255), beside how
/// near training images come to each other.
struct Nearest {
  std::vector<int64_t> index;    ///< nearest training image of each generated one (position in `training`)
  std::vector<double> distance;  ///< to it
  double training_median = 0;    ///< of the distance from a training image to its nearest other one
  double training_low = 0;       ///< its first percentile
  int64_t closer_than_low = 0;   ///< generated images nearer than that: candidates of memorisation
};
/// uint8 [n, C, S, S] and [m, C, S, S], m >= 2.
Nearest nearest_training(const Tensor& generated, const Tensor& training);

}  // namespace sdg::study
