#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "sdg/flow/prediction_table.h"
#include "sdg/sample/options.h"

namespace sdg::sample {
/// steps + 1 evenly spaced times from t_begin to t_end.
std::vector<double> uniform_grid(int64_t steps, double t_begin = 0, double t_end = 1);

/// The times from 0 to 1 at which the options let a solver step, of a network with these predictions. A last step that
/// stands apart (of euler_maruyama) has its own length, and the steps before it share the rest.
std::vector<double> time_grid(const SampleOptions& options, const flow::PredictionTable& predictions);

/// Throws Error unless `grid` has at least two times and is strictly monotonic; `who` opens the message.
void check_grid(const std::vector<double>& grid, std::string_view who);
}  // namespace sdg::sample
