#include "sdg/sample/grid.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <sstream>

#include "sdg/core/error.h"
#include "sdg/flow/respacing.h"

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

std::vector<double> shifted_grid(int64_t steps, double shift) {
  auto grid = uniform_grid(steps);
  for (auto& t : grid) t = 1 - shift * (1 - t) / (1 + (shift - 1) * (1 - t));
  return grid;
}

std::vector<double> cosine_grid(int64_t steps, double sigma_min) {
  auto grid = uniform_grid(steps, 0, std::numbers::pi / 2);
  for (auto& t : grid) t = std::sin(t) / (std::cos(t) + (1 - sigma_min) * std::sin(t));
  grid.back() = 1;
  return grid;
}

std::vector<double> karras_grid(int64_t steps, double rho, double sigma_min) {
  constexpr double kMost = 80, kLeast = 0.002;
  SDG_CHECK(steps >= 2, "karras grid: steps must be at least 2, got ", steps);
  auto grid = uniform_grid(steps - 1, std::pow(kMost, 1 / rho), std::pow(kLeast, 1 / rho));
  for (auto& t : grid) t = 1 / (std::pow(t, rho) + 1 - sigma_min);
  grid.front() = 0;
  grid.push_back(1);
  return grid;
}

std::vector<double> listed_times(const std::string& text) {
  std::vector<double> grid;
  std::istringstream parts(text);
  bool good = !text.empty() && text.back() != ',';
  for (std::string part; good && std::getline(parts, part, ',');) {
    const auto first = part.find_first_not_of(' ');
    const auto* begin = part.data() + std::min(first, part.size());
    double t = 0;
    const auto [end, failed] = std::from_chars(begin, part.data() + part.size(), t);
    good = failed == std::errc() && part.find_first_not_of(' ', static_cast<size_t>(end - part.data())) == part.npos &&
           t >= 0 && t <= 1 && (grid.empty() || t > grid.back());
    grid.push_back(t);
  }
  SDG_CHECK_USAGE(good && grid.size() >= 2 && grid.front() == 0 && grid.back() == 1,
                  "times: expected numbers that rise from 0 to 1 with commas between, got \"", text, "\"");
  return grid;
}

std::vector<double> time_grid(const SampleOptions& options, const flow::PredictionTable& predictions,
                              const std::function<std::vector<double>(int64_t)>& fitted) {
  if (has_own_steps(options.solver)) return {0, 1};
  const auto grid_of = [&](int64_t steps) {
    switch (options.grid) {
      case Grid::kUniform:
        return uniform_grid(steps);
      case Grid::kOwn:
        return predictions.own_grid(steps);
      case Grid::kRespaced:
        return predictions.grid_of_steps(flow::respaced_steps({steps}));
      case Grid::kStrided:
        return predictions.grid_of_steps(flow::strided_steps(steps));
      case Grid::kShifted:
        return shifted_grid(steps, options.shift);
      case Grid::kCosine:
        return cosine_grid(steps, predictions.sigma_min());
      case Grid::kKarras:
        return karras_grid(steps, options.karras_rho, predictions.sigma_min());
      case Grid::kList:
        return listed_times(options.times);
      case Grid::kFitted:
        break;
    }
    SDG_CHECK(fitted, "grid fitted: needs a network to fit it to");
    return fitted(steps);
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
