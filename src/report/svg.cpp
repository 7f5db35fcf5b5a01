#include "sdg/report/svg.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "report/axis.h"
#include "sdg/core/error.h"
#include "sdg/report/html_page.h"

namespace sdg::report {
namespace {

constexpr double kLeft = 64, kRight = 150, kTop = 34, kBottom = 44;

std::string text(double x, double y, const std::string& anchor, const std::string& what, const std::string& more = "") {
  return cat("<text x=\"", short_text(x), "\" y=\"", short_text(y), "\" text-anchor=\"", anchor, "\"", more, ">",
             escape_html(what), "</text>\n");
}

std::string line(double x0, double y0, double x1, double y1, const std::string& colour, double width = 1) {
  return cat("<line x1=\"", short_text(x0), "\" y1=\"", short_text(y0), "\" x2=\"", short_text(x1), "\" y2=\"",
             short_text(y1), "\" stroke=\"", colour, "\" stroke-width=\"", width, "\"/>\n");
}

std::string colour_of(size_t i) {
  const auto rgb = distinct_colour(static_cast<int64_t>(i));
  char out[16];
  std::snprintf(out, sizeof out, "#%02x%02x%02x", rgb[0], rgb[1], rgb[2]);
  return out;
}

std::string drawn(const Series& series, const std::string& colour, const Axis& x, const Axis& y) {
  SDG_CHECK(series.x.size() == series.y.size() && series.low.size() == series.high.size() &&
                (series.low.empty() || series.low.size() == series.x.size()),
            "chart: series ", series.name, " has lists of different lengths");
  std::string path, marks;
  for (size_t i = 0; i < series.x.size(); ++i) {
    if (!x.holds(series.x[i]) || !y.holds(series.y[i])) continue;
    const double at_x = x.at(series.x[i]), at_y = y.at(series.y[i]);
    path += cat(path.empty() ? "" : " ", short_text(at_x), ",", short_text(at_y));
    if (!series.low.empty() && y.holds(series.low[i]) && y.holds(series.high[i]))
      marks += line(at_x, y.at(series.low[i]), at_x, y.at(series.high[i]), colour);
    marks +=
        cat("<circle cx=\"", short_text(at_x), "\" cy=\"", short_text(at_y), "\" r=\"3\" fill=\"", colour, "\"/>\n");
  }
  return cat("<polyline points=\"", path, "\" fill=\"none\" stroke=\"", colour, "\" stroke-width=\"1.5\"/>\n", marks);
}

std::string panel(const SvgChart& each, double top, double width, double height) {
  const auto& chart = each.chart;
  Axis x{.log = chart.log_x, .from = kLeft, .to = width - kRight};
  Axis y{.log = chart.log_y, .from = top + height - kBottom, .to = top + kTop};
  for (const auto& series : chart.series) {
    for (const auto value : series.x) x.take(value);
    for (const auto* values : {&series.y, &series.low, &series.high})
      for (const auto value : *values) y.take(value);
  }
  SDG_CHECK(x.high >= x.low && y.high >= y.low, "chart: nothing to draw in ", chart.title);
  x.widen(0.03);
  y.widen(0.05);
  auto out = text(kLeft, top + 18, "start", chart.title, " font-size=\"14\"");
  for (const auto tick : y.ticks(6))
    out += line(x.from, y.at(tick), x.to, y.at(tick), "#e4e4e4") +
           text(x.from - 6, y.at(tick) + 4, "end", short_text(tick));
  for (size_t i = 0; i < each.ticks.size(); ++i)
    out += text(x.at(static_cast<double>(i)), y.from + 16, "middle", each.ticks[i]);
  for (const auto tick : each.ticks.empty() ? x.ticks(6) : std::vector<double>())
    out += line(x.at(tick), y.from, x.at(tick), y.from + 4, "#888888") +
           text(x.at(tick), y.from + 16, "middle", short_text(tick));
  out += line(x.from, y.from, x.to, y.from, "#888888") + line(x.from, y.from, x.from, y.to, "#888888");
  out += text((x.from + x.to) / 2, y.from + 34, "middle", chart.x_label);
  const double middle = (y.from + y.to) / 2;
  out += text(14, middle, "middle", chart.y_label, cat(" transform=\"rotate(-90 14 ", short_text(middle), ")\""));
  for (size_t i = 0; i < chart.series.size(); ++i) {
    out += drawn(chart.series[i], colour_of(i), x, y);
    const double row = y.to + 12 + 16 * static_cast<double>(i);
    out += line(x.to + 8, row - 4, x.to + 22, row - 4, colour_of(i), 2) +
           text(x.to + 26, row, "start", chart.series[i].name);
  }
  return out;
}

}  // namespace

std::string svg(const std::vector<SvgChart>& charts, int64_t width, int64_t height) {
  SDG_CHECK(!charts.empty(), "chart: nothing to draw");
  const auto all = height * static_cast<int64_t>(charts.size());
  auto out = cat("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", width, "\" height=\"", all, "\" viewBox=\"0 0 ",
                 width, " ", all, "\" font-family=\"sans-serif\" font-size=\"11\" fill=\"#222222\">\n",
                 "<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
  for (size_t i = 0; i < charts.size(); ++i)
    out += panel(charts[i], static_cast<double>(height) * static_cast<double>(i), static_cast<double>(width),
                 static_cast<double>(height));
  return out + "</svg>\n";
}

}  // namespace sdg::report
