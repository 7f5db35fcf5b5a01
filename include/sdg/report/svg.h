#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "sdg/report/chart.h"

namespace sdg::report {

/// The charts one below the other as one SVG, which stays sharp at any size. Names on the horizontal axis stand for
/// numbers 0, 1, … where a chart has `ticks`. Throws Error where lengths disagree or there is nothing to draw.
struct SvgChart {
  LineChart chart;
  std::vector<std::string> ticks{};
};
std::string svg(const std::vector<SvgChart>& charts, int64_t width = 720, int64_t height = 300);

}  // namespace sdg::report
