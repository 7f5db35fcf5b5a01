#pragma once
#include <vector>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/progress.h"
#include "sdg/data/dataset.h"

namespace sdg::study {

/// What its condition tells the network of an image: the squared error of the velocity, mean over values and images, at
/// times of the path, for three answers to the same x_t: told nothing, told the image's own condition, told that of
/// another of the images. Noise is fresh (none of training's); the images are whichever are given.
struct ConditionGain {
  std::vector<double> times;             ///< 0 noise, 1 data
  std::vector<double> none, own, other;  ///< errors at each
  /// 1 - own / none over all times alike: the share of the flow loss that the condition takes away. Near 0: it says
  /// nothing that x_t does not say itself.
  double gain = 0;
  double error = 0;  ///< its standard error over images
  /// 1 - other / none: below 0 where a wrong condition misleads, near 0 where the network does not listen.
  double gain_of_other = 0;
};

/// `ids` int64 [n] (patch level [n, L]) of the images `indices`, as conditions::condition_ids gives them. The answers
/// are the averaged network's. Throws UsageError for a run without conditions or one that never dropped them, so that
/// it does not know what it is to be told nothing.
ConditionGain condition_gain(const checkpoint::Trained& trained, const data::Dataset& dataset,
                             const std::vector<int64_t>& indices, const Tensor& ids, const std::vector<double>& times,
                             const at::Device& device, const Progress& progress = {});

}  // namespace sdg::study
