#include "report/axis.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "sdg/core/error.h"
#include "sdg/report/chart.h"

namespace sdg::report {

bool Axis::holds(double value) const {
  return std::isfinite(value) && (!log || value > 0);
}

double Axis::unit(double value) const {
  return log ? std::log10(value) : value;
}

void Axis::take(double value) {
  if (!holds(value)) return;
  low = std::min(low, unit(value));
  high = std::max(high, unit(value));
}

void Axis::widen(double share) {
  const double span = high > low ? high - low : std::max(1e-9, std::abs(high) * 0.1);
  low -= share * span;
  high += share * span;
}

std::vector<double> Axis::ticks(int64_t count) const {
  if (!log) return round_ticks(low, high, count);
  std::vector<double> out;
  for (double power = std::floor(low); power <= std::ceil(high); ++power) {
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double value = digit * std::pow(10.0, power);
      if (unit(value) >= low && unit(value) <= high) out.push_back(value);
    }
  }
  // A range within a decade has few of those: any round numbers then.
  return out.size() >= 3 ? out : round_ticks(std::pow(10.0, low), std::pow(10.0, high), count);
}

std::vector<double> round_ticks(double low, double high, int64_t count) {
  SDG_ASSERT(std::isfinite(low) && std::isfinite(high) && low < high && count >= 1,
             "ticks: expected a finite range and at least one part, got ", low, " to ", high, " in ", count);
  const double raw = (high - low) / static_cast<double>(count);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double step = (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10) * power;
  std::vector<double> out;
  for (double tick = std::ceil(low / step - 1e-9) * step; tick <= high + 1e-9 * step; tick += step)
    out.push_back(std::abs(tick) < 1e-9 * step ? 0.0 : tick);
  return out;
}

std::string short_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, std::abs(value) >= 1000 ? "%.0f" : "%.4g", value);
  return text;
}

}  // namespace sdg::report
