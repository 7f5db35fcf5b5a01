#pragma once
#include <cstdint>
#include <functional>
#include <string>

#include "sdg/recipe/run_config.h"

namespace sdg::run {

/// What is said where a device has no room for a step: LibTorch's `reason`, its first sentence, and what the
/// configuration would take on each of `gpus` by network::estimate_cost as it is, with smaller micro-batches and with
/// activation checkpointing; where the reason names the card's capacity, the first of these that fits.
std::string out_of_memory(const recipe::RunConfig& config, int64_t gpus, const std::string& reason);

/// Does `work`, of step `step` of one of `ranks`. Where the device has no room for it, or the step was undone, throws
/// Error that says how to go on; the last checkpoint is of step `saved_at` (below 0: there is none).
void telling(const recipe::RunConfig& config, int64_t ranks, int64_t step, int64_t saved_at,
             const std::function<void()>& work);

}  // namespace sdg::run
