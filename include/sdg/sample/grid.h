#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace sdg::sample {
/// steps + 1 evenly spaced times from t_begin to t_end.
std::vector<double> uniform_grid(int64_t steps, double t_begin = 0, double t_end = 1);

/// Times t_begin, t_begin ± step, …, t_end: the last step is shorter where `step` (> 0) does not divide the span.
std::vector<double> stepped_grid(double step, double t_begin = 0, double t_end = 1);

/// Throws Error unless `grid` has at least two times and is strictly monotonic; `who` opens the message.
void check_grid(const std::vector<double>& grid, std::string_view who);
}  // namespace sdg::sample
