#pragma once
#include <functional>
#include <vector>

#include "sdg/core/progress.h"
#include "sdg/data/loader.h"
#include "sdg/recipe/run_config.h"

/// How every benchmark here measures, so that figures can stand side by side.
namespace sdg::bench {

double milliseconds(const std::function<void()>& work);

double median(std::vector<double> values);

/// Median time of each piece of work over `rounds` rounds, each round all of them once, after a round that only warms
/// up: a machine whose speed drifts treats all alike. Waits for the device after each.
std::vector<double> interleaved_medians(const std::vector<std::function<void()>>& work, int64_t rounds,
                                        const at::Device& device, const Progress& progress = {});

/// A batch of the configuration's shape whose images are noise.
data::Batch random_batch(const recipe::RunConfig& config, int64_t step);

}  // namespace sdg::bench
