#pragma once
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace sdg::report {

/// Maps values to places along one side of a chart.
struct Axis {
  double low = std::numeric_limits<double>::infinity(), high = -low;  ///< of what was taken; logarithms where `log`
  bool log = false;
  double from = 0, to = 1;  ///< places of low and high

  bool holds(double value) const;
  double unit(double value) const;
  void take(double value);
  /// By a share of the span on either side, so that nothing lies on the frame.
  void widen(double share);
  double at(double value) const { return from + (to - from) * (unit(value) - low) / (high - low); }
  /// Round values within, about `count`; of a logarithmic axis 1, 2 and 5 times powers of ten where three or more fit.
  std::vector<double> ticks(int64_t count) const;
};

/// Four significant digits; whole numbers from 1,000 on.
std::string short_text(double value);

}  // namespace sdg::report
