#include "sdg/study/feature_table.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "sdg/core/error.h"
#include "sdg/core/text.h"

namespace sdg::study {
namespace {

constexpr Measure kMeasures[] = {{"linear", "linear probe accuracy", &FeatureRow::linear},
                                 {"knn", "k-NN accuracy", &FeatureRow::knn},
                                 {"nmi", "NMI of k-means", &FeatureRow::nmi},
                                 {"agreement", "agreement of two noises", &FeatureRow::agreement}};

bool is_tap(const FeatureRow& row) {
  return row.tap.depth >= 0;
}

std::string plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string figure(double value) {
  if (!std::isfinite(value)) return "–";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value);
  return text;
}

std::string markdown(const std::vector<std::string>& cells) {
  return "| " + join(cells, " | ") + " |\n";
}

}  // namespace

std::vector<Measure> measures_in(const std::vector<FeatureRow>& rows) {
  std::vector<Measure> out;
  for (const auto& measure : kMeasures) {
    const auto has = [&](const FeatureRow& row) { return std::isfinite(row.*measure.value); };
    if (std::any_of(rows.begin(), rows.end(), has)) out.push_back(measure);
  }
  return out;
}

std::vector<std::vector<std::string>> feature_cells(const std::vector<FeatureRow>& rows) {
  const auto measures = measures_in(rows);
  std::vector<std::vector<std::string>> out{{"depth", "time", "pooling", "width"}};
  for (const auto& measure : measures) out.front().emplace_back(measure.title);
  for (const auto& row : rows) {
    const bool tap = is_tap(row);
    std::vector<std::string> cells{tap ? std::to_string(row.tap.depth) : "–", tap ? plain(row.tap.time) : "–",
                                   tap ? row.tap.pooling : "raw pixels", std::to_string(row.width)};
    for (const auto& measure : measures) cells.push_back(figure(row.*measure.value));
    out.push_back(cells);
  }
  return out;
}

std::string feature_table(const std::vector<FeatureRow>& rows) {
  const auto measures = measures_in(rows);
  auto cells = feature_cells(rows);
  for (size_t m = 0; m < measures.size(); ++m) {
    if (const auto* best = best_tap(rows, measures[m])) {
      auto& cell = cells[static_cast<size_t>(best - rows.data()) + 1][4 + m];
      cell = "**" + cell + "**";
    }
  }
  std::string out = markdown(cells.front());
  out += "| ---: | ---: | --- | ---: |";
  for (size_t m = 0; m < measures.size(); ++m) out += " ---: |";
  out += '\n';
  for (size_t i = 1; i < cells.size(); ++i) out += markdown(cells[i]);
  return out;
}

std::vector<std::string> poolings_in(const std::vector<FeatureRow>& rows) {
  std::vector<std::string> out;
  for (const auto& row : rows) {
    if (is_tap(row) && std::find(out.begin(), out.end(), row.tap.pooling) == out.end()) out.push_back(row.tap.pooling);
  }
  return out;
}

report::HeatMap feature_map(const std::vector<FeatureRow>& rows, const Measure& measure, const std::string& pooling) {
  std::set<double> times;
  std::set<int64_t> depths;
  for (const auto& row : rows) {
    if (!is_tap(row) || row.tap.pooling != pooling) continue;
    times.insert(row.tap.time);
    depths.insert(row.tap.depth);
  }
  report::HeatMap map;
  map.title = cat(measure.title, ", ", pooling);
  map.x_label = "time (0 noise, 1 image)";
  map.y_label = "depth";
  for (const auto time : times) map.columns.push_back(plain(time));
  for (const auto depth : depths) {
    map.rows.push_back(std::to_string(depth));
    auto& values = map.values.emplace_back();
    for (const auto time : times) {
      const auto found = std::find_if(rows.begin(), rows.end(),
                                      [&](const FeatureRow& row) { return row.tap == Tap{time, depth, pooling}; });
      const double value = found == rows.end() ? std::numeric_limits<double>::quiet_NaN() : (*found).*measure.value;
      values.push_back(std::round(value * 1000) / 1000);  // more digits would be noise
    }
  }
  return map;
}

const FeatureRow* best_tap(const std::vector<FeatureRow>& rows, const Measure& measure) {
  const FeatureRow* best = nullptr;
  for (const auto& row : rows) {
    const double value = row.*measure.value;
    if (is_tap(row) && std::isfinite(value) && (!best || value > best->*measure.value)) best = &row;
  }
  return best;
}

std::string tap_options(const Tap& tap) {
  return cat("--set cluster.depth=", tap.depth, " --set cluster.pooling=", tap.pooling,
             " --set cluster.teacher_time=", plain(tap.time));
}

std::string to_json(const std::vector<FeatureRow>& rows, const std::string& head) {
  using nlohmann::ordered_json;
  auto out = ordered_json::parse(head);
  out["rows"] = ordered_json::array();
  for (const auto& row : rows) {
    ordered_json line;
    if (is_tap(row)) {
      line["depth"] = row.tap.depth;
      line["time"] = row.tap.time;
    }
    line["pooling"] = row.tap.pooling;
    line["width"] = row.width;
    for (const auto& measure : kMeasures) line[measure.key] = row.*measure.value;  // NaN becomes null
    out["rows"].push_back(line);
  }
  out["best"] = ordered_json::object();
  for (const auto& measure : measures_in(rows)) {
    if (const auto* best = best_tap(rows, measure))
      out["best"][measure.key] = {{"depth", best->tap.depth},
                                  {"time", best->tap.time},
                                  {"pooling", best->tap.pooling},
                                  {"value", best->*measure.value}};
  }
  return out.dump(1);
}

}  // namespace sdg::study
