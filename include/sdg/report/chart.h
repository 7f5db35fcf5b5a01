#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

/// Plain charts as pictures, so that results can be looked at where nothing but this program is installed.
namespace sdg::report {

/// One line of a chart. Points that are not finite are left out.
struct Series {
  std::string name;
  std::vector<double> x, y;
  std::vector<double> low, high;  ///< spread around y at each point, drawn as bars; both empty or as long as x
};

struct LineChart {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_x = false, log_y = false;
};

/// rows x columns values, each in a cell coloured by its size and labelled with its number.
struct HeatMap {
  std::string title, x_label, y_label;
  std::vector<std::string> columns, rows;
  std::vector<std::vector<double>> values;  ///< [rows][columns]; a value that is not finite leaves its cell grey
};

struct BarChart {
  std::string title, x_label, y_label;
  std::vector<double> values;  ///< one bar each, from 0
};

/// uint8 [3, height, width]. Throw Error where lengths disagree or there is nothing to draw.
Tensor draw(const LineChart& chart, int64_t width = 720, int64_t height = 440);
Tensor draw(const HeatMap& map);
Tensor draw(const BarChart& chart, int64_t width = 720, int64_t height = 260);

/// Round numbers that divide [low, high] into about `count` parts; the first is >= low, the last <= high.
std::vector<double> round_ticks(double low, double high, int64_t count);

/// Colour i of a set that can be told apart, as {r, g, b}; repeats after many.
std::vector<uint8_t> distinct_colour(int64_t i);

}  // namespace sdg::report
