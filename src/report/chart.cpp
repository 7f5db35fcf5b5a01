#include "sdg/report/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "report/axis.h"
#include "report/canvas.h"
#include "sdg/core/error.h"

namespace sdg::report {
namespace {

constexpr Colour kBlack{30, 30, 30}, kGrey{205, 205, 205}, kLight{238, 238, 238};
constexpr std::array<Colour, 12> kColours{{{31, 119, 180},
                                           {214, 69, 29},
                                           {44, 140, 60},
                                           {148, 80, 189},
                                           {230, 160, 20},
                                           {23, 170, 190},
                                           {200, 60, 140},
                                           {110, 110, 110},
                                           {140, 100, 50},
                                           {110, 190, 60},
                                           {60, 60, 200},
                                           {250, 130, 110}}};

Colour colour_of(int64_t i) {
  return kColours[static_cast<size_t>(i) % kColours.size()];
}

void draw_frame(Canvas& canvas, const Axis& x, const Axis& y, const std::string& title, const std::string& x_label,
                const std::string& y_label) {
  for (const double tick : y.ticks(6)) {
    canvas.line(x.from, y.at(tick), x.to, y.at(tick), kLight);
    canvas.text_right(x.from - 6, y.at(tick) - 4, short_text(tick), kBlack);
  }
  for (const double tick : x.ticks(8)) {
    canvas.line(x.at(tick), y.from, x.at(tick), y.from + 4, kBlack);
    canvas.text_centred(x.at(tick), y.from + 8, short_text(tick), kBlack);
  }
  canvas.line(x.from, y.from, x.to, y.from, kBlack);
  canvas.line(x.from, y.from, x.from, y.to, kBlack);
  canvas.text(12, 10, title, kBlack, 2);
  canvas.text_centred((x.from + x.to) / 2, y.from + 24, x_label, kBlack);
  canvas.text(12, y.to - 16, y_label, kBlack);
}

// From light yellow over green to dark blue: monotone in brightness, so it reads in grey too.
Colour ramp(double share) {
  const std::array<std::array<double, 3>, 4> stops{{{255, 250, 205}, {120, 198, 140}, {38, 130, 142}, {52, 44, 110}}};
  const double place = std::clamp(share, 0.0, 1.0) * (stops.size() - 1);
  const auto i = std::min(static_cast<size_t>(place), stops.size() - 2);
  Colour out{};
  for (size_t c = 0; c < 3; ++c)
    out[c] = static_cast<uint8_t>(
        std::lround(stops[i][c] + (place - static_cast<double>(i)) * (stops[i + 1][c] - stops[i][c])));
  return out;
}

}  // namespace

std::vector<uint8_t> distinct_colour(int64_t i) {
  const auto colour = colour_of(i);
  // Each further round through the set is darker, down to a third.
  const auto round = i / static_cast<int64_t>(kColours.size());
  const double dim = std::max(0.35, 1.0 - 0.22 * static_cast<double>(round));
  std::vector<uint8_t> out;
  for (const auto c : colour) out.push_back(static_cast<uint8_t>(std::lround(c * dim)));
  return out;
}

Tensor draw(const LineChart& chart, int64_t width, int64_t height) {
  Canvas canvas(width, height);
  Axis x, y;
  x.log = chart.log_x;
  y.log = chart.log_y;
  double names = 0;
  for (const auto& series : chart.series) {
    SDG_ASSERT(series.x.size() == series.y.size() && series.low.size() == series.high.size() &&
                   (series.low.empty() || series.low.size() == series.x.size()),
               "chart: series ", series.name, " has ", series.x.size(), " x, ", series.y.size(), " y, ",
               series.low.size(), " low and ", series.high.size(), " high values");
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!x.holds(series.x[i]) || !y.holds(series.y[i])) continue;
      x.take(series.x[i]);
      y.take(series.y[i]);
      if (!series.low.empty()) {
        y.take(series.low[i]);
        y.take(series.high[i]);
      }
    }
    names = std::max(names, Canvas::text_width(series.name));
  }
  SDG_CHECK(std::isfinite(x.low) && std::isfinite(y.low), "chart ", chart.title, ": no finite point to draw");
  x.widen(0.03);
  y.widen(0.06);
  x.from = 64;
  x.to = static_cast<double>(width) - names - 44;
  y.from = static_cast<double>(height) - 44;
  y.to = 56;
  draw_frame(canvas, x, y, chart.title, chart.x_label, chart.y_label);
  for (size_t s = 0; s < chart.series.size(); ++s) {
    const auto& series = chart.series[s];
    const auto colour = colour_of(static_cast<int64_t>(s));
    double last_x = std::numeric_limits<double>::quiet_NaN(), last_y = 0;
    for (size_t i = 0; i < series.x.size(); ++i) {
      if (!x.holds(series.x[i]) || !y.holds(series.y[i])) continue;
      const double px = x.at(series.x[i]), py = y.at(series.y[i]);
      if (std::isfinite(last_x)) canvas.line(last_x, last_y, px, py, colour, 2);
      if (!series.low.empty() && y.holds(series.low[i]) && y.holds(series.high[i])) {
        canvas.line(px, y.at(series.low[i]), px, y.at(series.high[i]), colour);
        canvas.line(px - 3, y.at(series.low[i]), px + 3, y.at(series.low[i]), colour);
        canvas.line(px - 3, y.at(series.high[i]), px + 3, y.at(series.high[i]), colour);
      }
      canvas.disc(px, py, 3, colour);
      last_x = px;
      last_y = py;
    }
    const double row = y.to + 16 * static_cast<double>(s);
    canvas.line(x.to + 10, row + 4, x.to + 26, row + 4, colour, 3);
    canvas.text(x.to + 32, row, series.name, kBlack);
  }
  return canvas.image();
}

Tensor draw(const HeatMap& map) {
  SDG_ASSERT(!map.rows.empty() && !map.columns.empty() && map.values.size() == map.rows.size(), "heat map ", map.title,
             ": expected a row of values for each of ", map.rows.size(), " rows, got ", map.values.size());
  double low = std::numeric_limits<double>::infinity(), high = -low, names = 0;
  for (const auto& row : map.values) {
    SDG_ASSERT(row.size() == map.columns.size(), "heat map ", map.title, ": expected ", map.columns.size(),
               " values in each row, got ", row.size());
    for (const double value : row) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
  }
  for (const auto& name : map.rows) names = std::max(names, Canvas::text_width(name));
  constexpr double kCellWidth = 64, kCellHeight = 30;
  const double left = names + 24, top = 72;
  const auto columns = static_cast<double>(map.columns.size()), rows = static_cast<double>(map.rows.size());
  const double wanted = std::max(left + columns * kCellWidth + 16, Canvas::text_width(map.title, 2) + 24);
  Canvas canvas(std::llround(wanted), std::llround(top + rows * kCellHeight + 40));
  canvas.text(12, 10, map.title, kBlack, 2);
  canvas.text(12, 38, map.y_label + " (down), " + map.x_label + " (across)", kBlack);
  for (size_t c = 0; c < map.columns.size(); ++c)
    canvas.text_centred(left + (static_cast<double>(c) + 0.5) * kCellWidth, top - 14, map.columns[c], kBlack);
  for (size_t r = 0; r < map.rows.size(); ++r) {
    const double y = top + static_cast<double>(r) * kCellHeight;
    canvas.text_right(left - 8, y + 11, map.rows[r], kBlack);
    for (size_t c = 0; c < map.columns.size(); ++c) {
      const double value = map.values[r][c], x = left + static_cast<double>(c) * kCellWidth;
      const bool finite = std::isfinite(value);
      const double share = finite && high > low ? (value - low) / (high - low) : 0.5;
      canvas.fill(x, y, kCellWidth - 1, kCellHeight - 1, finite ? ramp(share) : kGrey);
      if (finite)
        canvas.text_centred(x + kCellWidth / 2, y + 11, short_text(value),
                            share > 0.55 ? Colour{255, 255, 255} : kBlack);
    }
  }
  return canvas.image();
}

Tensor draw(const BarChart& chart, int64_t width, int64_t height) {
  SDG_ASSERT(!chart.values.empty(), "chart ", chart.title, ": nothing to draw");
  Canvas canvas(width, height);
  Axis x, y;
  const auto count = static_cast<double>(chart.values.size());
  x.low = -0.5;
  x.high = count - 0.5;
  y.low = 0;
  for (const double value : chart.values) y.take(value);
  if (!(y.high > 0)) y.high = 1;
  y.high *= 1.05;
  x.from = 64;
  x.to = static_cast<double>(width) - 20;
  y.from = static_cast<double>(height) - 44;
  y.to = 56;
  draw_frame(canvas, x, y, chart.title, chart.x_label, chart.y_label);
  const double slot = (x.to - x.from) / count, bar = std::max(1.0, slot * 0.8);
  for (size_t i = 0; i < chart.values.size(); ++i) {
    if (!std::isfinite(chart.values[i])) continue;
    const double top = y.at(chart.values[i]);
    canvas.fill(x.at(static_cast<double>(i)) - bar / 2, top, bar, y.from - top, colour_of(0));
  }
  return canvas.image();
}

}  // namespace sdg::report
