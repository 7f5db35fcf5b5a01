#pragma once
#include <string>

#include "sdg/train/learner.h"
#include "train/run_log.h"
#include "train/supply.h"

namespace sdg::train {

/// Is something of what write_pictures makes at `step` not there?
bool pictures_missing(const RunFolder& folder, const Supply& supply, bool clusters, int64_t step);

/// Draws the sample grid and the cluster sheet of the step reached into the run's folder and its log, scores the
/// clusters, and says so in one line; empty where nothing can be shown.
std::string write_pictures(const RunConfig& config, const RunFolder& folder, const Supply& supply, Learner& learner,
                           const at::Device& device, RunLog& log);

}  // namespace sdg::train
