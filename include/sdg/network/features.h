#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "sdg/core/progress.h"
#include "sdg/core/reducer.h"
#include "sdg/core/rng.h"
#include "sdg/data/dataset.h"
#include "sdg/network/network.h"

/// Features of images inside our own networks. Those of outside ones are functions of images alone (room vision).
namespace sdg::network {

/// One place to take features from.
struct Tap {
  double time = 0;      ///< t at which the network sees the image
  int64_t depth = 0;    ///< block, 0-based in order of computation
  std::string pooling;  ///< name of a cluster::Pooling, see pool_tokens
  bool operator==(const Tap&) const = default;
};

/// The tap whose features a run clusters: cluster.teacher_time, cluster.depth, cluster.pooling.
Tap own_tap(const recipe::RunConfig& config, const model::VelocityModel& model);

/// F at a tap.
int64_t feature_width(const Tap& tap, const model::VelocityModel& model);

/// Features [indices.size(), F] float32 on the CPU at each of the taps, which must be of one time: one forward pass an
/// image, without condition, through noise keyed by the image's index. Where an image is broken they are, to the noise,
/// those of the one that replaces it (Dataset::shown). On the CPU chunks of images go to the workers; a chunk's kept
/// tokens stay within 256 MiB. Over ranks, all of which call this and get all features, each computes some of the same
/// chunks, so that not a bit differs.
std::vector<Tensor> extract_features(const recipe::RunConfig& config, const Network& network,
                                     const data::Dataset& dataset, const std::vector<int64_t>& indices,
                                     const std::vector<Tap>& taps, const at::Device& device,
                                     const Progress& progress = {}, rng::Purpose noise = rng::Purpose::kTeacherNoise,
                                     Reducer& reducer = Reducer::local());

}  // namespace sdg::network
