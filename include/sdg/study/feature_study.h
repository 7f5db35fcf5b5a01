#pragma once
#include <functional>
#include <string>
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/progress.h"
#include "sdg/data/dataset.h"
#include "sdg/network/features.h"

/// Where in a trained network, and at which time, its features say most about the images: every block, several times,
/// several poolings, each measured by probes. Labels are used for measuring only.
namespace sdg::study {

using network::feature_width;
using network::Tap;

struct FeatureStudyOptions {
  std::vector<double> times = {0.3, 0.5, 0.7, 0.85, 0.95};
  std::vector<int64_t> depths;        ///< empty: all blocks
  std::vector<std::string> poolings;  ///< empty: mean, cls where there is one, and flat where it is not too wide
  int64_t clusters = 0;               ///< K of the k-means; 0: the run's cluster.clusters
  int64_t neighbours = 20;            ///< of the k-NN probe
  double test_share = 0.2;            ///< of the images; the probes learn on the others
  uint64_t seed = 0;                  ///< of that split and of k-means
  std::function<bool()> stop;         ///< asked between taps; true ends the study with what was measured
};

/// Flat features wider than this are left out unless asked for: they hold gigabytes, and say little per number.
constexpr int64_t kWidestFlat = 65536;

/// Progress a tap: reading features, probing and clustering are parts of it.
constexpr int64_t kTapWork = 1000;

/// What was measured at one tap. Figures that need labels are NaN where there are none.
struct FeatureRow {
  Tap tap;               ///< raw pixels: pooling "pixels", depth -1, time 1 (clean images, no network)
  int64_t width = 0;     ///< F
  double linear = 0;     ///< accuracy of logistic regression (metrics/probes.h) on test images
  double knn = 0;        ///< accuracy of k-NN on the same images
  double nmi = 0;        ///< of k-means on all images, against the labels
  double agreement = 0;  ///< NMI between the clusters of the images seen through one noise and through another,
                         ///< which needs no labels; NaN for pixels
};

/// Which taps the options mean for this network, ordered by time, pooling and depth. Throws UsageError for times
/// outside [0, 1], depths and poolings that it does not have, and an empty list of either.
std::vector<Tap> taps_of(const FeatureStudyOptions& options, const checkpoint::Trained& trained);

/// K of the k-means on `images` images. Throws UsageError unless 2 <= K <= images.
int64_t study_clusters(const FeatureStudyOptions& options, const checkpoint::Trained& trained, int64_t images);

/// Positions of the images that the probes are tested on and learn on, each sorted: a function of (seed, n).
struct ProbeSplit {
  std::vector<int64_t> train, test;
};
/// Throws UsageError unless both get an image.
ProbeSplit probe_split(int64_t n, double test_share, uint64_t seed);

/// Measures the raw pixels and then every tap. `labels` int64 [indices.size()], of at least two classes, or undefined.
/// `progress` is in kTapWork a row. Memory holds about a gigabyte of features at a time (or one depth's, where that is
/// more): wider studies take more passes a time. Where there are labels, it once holds all images as floats.
std::vector<FeatureRow> study_features(const checkpoint::Trained& trained, const data::Dataset& dataset,
                                       const std::vector<int64_t>& indices, const Tensor& labels,
                                       const FeatureStudyOptions& options, const at::Device& device,
                                       const Progress& progress = {});

}  // namespace sdg::study
