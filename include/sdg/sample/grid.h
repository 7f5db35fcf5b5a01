#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sdg/flow/prediction_table.h"
#include "sdg/sample/options.h"

namespace sdg::sample {
/// steps + 1 evenly spaced times from t_begin to t_end.
std::vector<double> uniform_grid(int64_t steps, double t_begin = 0, double t_end = 1);

/// 0 = noise. The noise share 1 - t of equal steps becomes a (1 - t) / (1 + (a - 1) (1 - t)) (Stable Diffusion 3,
/// arXiv 2403.03206, equation 23).
std::vector<double> shifted_grid(int64_t steps, double shift);
/// Equal steps of the angle whose tangent is signal over noise.
std::vector<double> cosine_grid(int64_t steps, double sigma_min);
/// EDM's (arXiv 2206.00364, equation 5): noise over signal from 80 to 0.002, equal steps of its rho-th root, and then
/// 0. The first time is 0 here, which is noise alone. At least 2 steps.
std::vector<double> karras_grid(int64_t steps, double rho, double sigma_min);
/// "0,0.25,1"; throws UsageError unless it rises from 0 to 1.
std::vector<double> listed_times(const std::string& text);

/// The times from 0 to 1 at which the options let a solver step, of a network with these predictions. A last step that
/// stands apart (of euler_maruyama) has its own length, and the steps before it share the rest.
/// Grid fitted takes `fitted` (fitted_grid.h).
std::vector<double> time_grid(const SampleOptions& options, const flow::PredictionTable& predictions,
                              const std::function<std::vector<double>(int64_t steps)>& fitted = {});

/// Throws Error unless `grid` has at least two times and is strictly monotonic; `who` opens the message.
void check_grid(const std::vector<double>& grid, std::string_view who);
}  // namespace sdg::sample
