#include "sdg/sample/grid.h"

#include <cmath>

#include "sdg/core/error.h"

namespace sdg::sample {

std::vector<double> uniform_grid(int64_t steps, double t_begin, double t_end) {
  SDG_CHECK(steps >= 1, "uniform_grid: steps must be at least 1, got ", steps);
  std::vector<double> grid(static_cast<size_t>(steps) + 1);
  for (int64_t i = 0; i <= steps; ++i) {
    grid[i] = t_begin + (t_end - t_begin) * (static_cast<double>(i) / static_cast<double>(steps));
  }
  grid.back() = t_end;
  return grid;
}

std::vector<double> stepped_grid(double step, double t_begin, double t_end) {
  SDG_CHECK(step > 0, "stepped_grid: the step must be positive, got ", step);
  SDG_CHECK(t_begin != t_end, "stepped_grid: begin and end must differ, both are ", t_begin);
  // A ratio that is an integer but for rounding means that many whole steps, not one more of length 1e-17.
  const double ratio = std::abs(t_end - t_begin) / step;
  const auto steps = static_cast<int64_t>(std::ceil(ratio - 1e-6 * ratio));
  const double signed_step = t_end > t_begin ? step : -step;
  std::vector<double> grid(static_cast<size_t>(steps) + 1);
  for (int64_t i = 0; i < steps; ++i) grid[i] = t_begin + static_cast<double>(i) * signed_step;
  grid.back() = t_end;
  return grid;
}

void check_grid(const std::vector<double>& grid, std::string_view who) {
  SDG_CHECK(grid.size() >= 2, who, ": the grid needs at least two times, got ", grid.size());
  const bool rising = grid[1] > grid[0];
  for (size_t i = 0; i + 1 < grid.size(); ++i) {
    const bool good = rising ? grid[i + 1] > grid[i] : grid[i + 1] < grid[i];
    SDG_CHECK(good, who, ": the grid must be strictly monotonic, got ", grid[i], " then ", grid[i + 1]);
  }
}

}  // namespace sdg::sample
