#include "sdg/sample/grid.h"

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

std::vector<double> time_grid(const SampleOptions& options, const flow::PredictionTable& predictions) {
  const auto grid_of = [&](int64_t steps) {
    return options.grid == Grid::kOwn ? predictions.own_grid(steps) : uniform_grid(steps);
  };
  if (idle(options).contains("last_step_size")) return grid_of(options.steps);
  auto grid = grid_of(options.steps - 1);
  for (auto& t : grid) t *= 1 - options.last_step_size;
  grid.push_back(1);
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
