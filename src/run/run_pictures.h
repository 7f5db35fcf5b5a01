#pragma once
#include <string>

#include "run/run_log.h"
#include "run/supply.h"
#include "sdg/learn/learner.h"

namespace sdg::run {

/// Is something of what write_pictures makes at `step` not there?
bool pictures_missing(const checkpoint::RunFolder& folder, const Supply& supply, bool clusters, int64_t step);

/// Draws the sample grid and the cluster sheet of the step reached into the run's folder and its log, scores the
/// clusters, and says so in one line; empty where nothing can be shown.
std::string write_pictures(const recipe::RunConfig& config, const checkpoint::RunFolder& folder, const Supply& supply,
                           learn::Learner& learner, const at::Device& device, RunLog& log);

}  // namespace sdg::run
