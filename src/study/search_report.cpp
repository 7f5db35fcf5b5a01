#include "sdg/study/search_report.h"

#include <algorithm>
#include <cstdio>

#include "sdg/core/error.h"
#include "sdg/core/text.h"

namespace sdg::study {
namespace {

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string with_interval(const metrics::FrechetInterval& interval) {
  return cat(rounded(interval.value), " (", rounded(interval.low), " to ", rounded(interval.high), ")");
}

// Points that are as `like` but on the axis, or of all the nearest with each of its values.
report::Series over(const SearchAxis& axis, size_t number, const SearchResult& result, const SearchPoint* like,
                    std::string name) {
  report::Series out{std::move(name), {}, {}, {}, {}};
  for (size_t value = 0; value < axis.values.size(); ++value) {
    const SearchedPoint* found = nullptr;
    for (const auto& each : result.points) {
      if (each.point[number] != value) continue;
      auto same = each.point;
      if (like) same[number] = (*like)[number];
      if (like && same != *like) continue;
      if (!found || each.distance.value < found->distance.value) found = &each;
    }
    if (!found) continue;
    out.x.push_back(axis.places.empty() ? static_cast<double>(value) : axis.places[value]);
    out.y.push_back(found->distance.value);
    out.low.push_back(found->distance.low);
    out.high.push_back(found->distance.high);
  }
  return out;
}

}  // namespace

std::string point_text(const std::vector<SearchAxis>& axes, const SearchPoint& point) {
  std::vector<std::string> parts;
  for (size_t i = 0; i < axes.size(); ++i) parts.push_back(cat(axes[i].name, " ", axes[i].values[point[i]]));
  return join(parts);
}

std::string search_table(const std::vector<SearchAxis>& axes, const SearchResult& result, const std::string& metric) {
  std::string out = "|";
  for (const auto& axis : axes) out += cat(" ", axis.name, " |");
  out += cat(" ", metric, " of ", result.compared, " images less their bias | drawn | |\n|");
  for (size_t i = 0; i < axes.size(); ++i) out += " ---: |";
  out += " ---: | ---: | --- |\n";
  auto points = result.points;
  std::stable_sort(points.begin(), points.end(),
                   [](const auto& a, const auto& b) { return a.distance.value < b.distance.value; });
  for (const auto& each : points) {
    out += '|';
    for (size_t i = 0; i < axes.size(); ++i) out += cat(" ", axes[i].values[each.point[i]], " |");
    const std::string mark = each.point == result.best ? "best" : each.point == result.start ? "default" : "";
    out += cat(" ", with_interval(each.distance), " | ", each.images, " | ", mark, " |\n");
  }
  return out;
}

std::vector<report::SvgChart> search_charts(const std::vector<SearchAxis>& axes, const SearchResult& result,
                                            const std::string& metric) {
  std::vector<report::SvgChart> out;
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto& axis = axes[i];
    report::SvgChart each;
    auto& chart = each.chart;
    chart.title =
        cat(metric, " over ", axis.name, ", ", result.compared, " images each less their bias, the same noise");
    chart.x_label = axis.name;
    chart.y_label = metric;
    if (axis.places.empty()) each.ticks = axis.values;
    if (i == 0) {
      chart.series.push_back(over(axis, i, result, &result.start, "as by default"));
      if (axes.size() > 1) chart.series.push_back(over(axis, i, result, &result.best, "at the best"));
    } else {
      chart.series.push_back(over(axis, i, result, nullptr, "lowest of each"));
    }
    std::erase_if(chart.series, [](const auto& series) { return series.x.empty(); });
    if (!chart.series.empty()) out.push_back(std::move(each));
  }
  return out;
}

std::vector<std::string> search_findings(const std::vector<SearchAxis>& axes, const SearchResult& result,
                                         const std::string& metric) {
  std::vector<std::string> out{cat("best: ", point_text(axes, result.best))};
  if (result.best == result.start) out.back() += ", which is the default";
  if (!result.proof) return out;
  const auto& proof = *result.proof;
  const auto of = cat("on ", proof.images, " images that played no part in this: ");
  if (!proof.difference) {
    out.push_back(cat(of, metric, " ", with_interval(proof.best)));
    return out;
  }
  out.push_back(cat(of, metric, " ", with_interval(proof.best), " against ", with_interval(proof.start),
                    " by default (", point_text(axes, result.start), "); difference ",
                    with_interval(*proof.difference)));
  return out;
}

std::vector<std::string> search_warnings(const std::vector<SearchAxis>& axes, const SearchResult& result) {
  std::vector<std::string> out;
  for (const auto& name : result.at_edge) {
    const auto axis = std::find_if(axes.begin(), axes.end(), [&](const auto& each) { return each.name == name; });
    const auto value = result.best[static_cast<size_t>(axis - axes.begin())];
    out.push_back(cat("the best ", name, ", ", axis->values[value],
                      ", is at the edge of what was searched; a wider range may hold a better one"));
  }
  for (const auto& name : result.left_out)
    out.push_back(cat("the budget was too small to search ", name, "; it stays as it is by default"));
  if (!result.proof) {
    out.push_back("the budget left no images to prove the best on");
  } else if (result.within_noise()) {
    out.push_back(cat("the best is within noise of the default: the interval of their difference reaches 0"));
  }
  return out;
}

}  // namespace sdg::study
