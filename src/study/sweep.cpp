#include "sdg/study/sweep.h"
#include "io/json_impl.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <tuple>

#include "sdg/core/error.h"
#include "sdg/core/text.h"

namespace sdg::study {
namespace {

using nlohmann::ordered_json;

auto setting_key(const SweepRow& row) {
  return std::tie(row.label, row.solver, row.grid, row.steps, row.guidance, row.guidance_begin, row.guidance_end,
                  row.count, row.metric);
}

auto point_key(const SweepRow& row) {
  return std::tie(row.content, row.solver, row.grid, row.steps, row.guidance, row.guidance_begin, row.guidance_end,
                  row.count, row.seed, row.metric);
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

template <class Value>
std::set<Value> values_of(const std::vector<SweepGroup>& groups, Value SweepRow::* member) {
  std::set<Value> out;
  for (const auto& group : groups) out.insert(group.setting.*member);
  return out;
}

/// Which settings differ between the rows: only those are worth naming.
struct Varying {
  bool solver, grid, steps, interval, count;
  explicit Varying(const std::vector<SweepGroup>& groups)
      : solver(values_of(groups, &SweepRow::solver).size() > 1),
        grid(values_of(groups, &SweepRow::grid).size() > 1),
        steps(values_of(groups, &SweepRow::steps).size() > 1),
        interval(values_of(groups, &SweepRow::guidance_begin).size() > 1 ||
                 values_of(groups, &SweepRow::guidance_end).size() > 1),
        count(values_of(groups, &SweepRow::count).size() > 1) {}

  std::string name(const SweepRow& row, bool with_steps = true) const {
    std::vector<std::string> parts{row.label};
    if (solver) parts.push_back(row.solver);
    if (grid) parts.push_back(row.grid + " grid");
    if (steps && with_steps) parts.push_back(cat(row.steps, " steps"));
    if (interval) parts.push_back(cat("guided ", plain(row.guidance_begin), " to ", plain(row.guidance_end)));
    if (count) parts.push_back(cat(row.count, " images"));
    return join(parts);
  }
};

}  // namespace

std::string to_json(const SweepRow& row) {
  return io::json_text(ordered_json{{"label", row.label},
                                    {"checkpoint", row.checkpoint},
                                    {"step", row.step},
                                    {"solver", row.solver},
                                    {"grid", row.grid},
                                    {"steps", row.steps},
                                    {"guidance", row.guidance},
                                    {"guidance_begin", row.guidance_begin},
                                    {"guidance_end", row.guidance_end},
                                    {"count", row.count},
                                    {"seed", row.seed},
                                    {"metric", row.metric},
                                    {"reference", row.reference},
                                    {"content", row.content},
                                    {"value", row.value}});
}

SweepRow parse_sweep_row(const std::string& line, const std::string& where) {
  try {
    const auto json = ordered_json::parse(line);
    SweepRow row;
    row.label = from_utf8(json.at("label").get<std::string>());
    row.checkpoint = from_utf8(json.at("checkpoint").get<std::string>());
    row.step = json.at("step");
    row.solver = json.at("solver");
    row.grid = json.value("grid", "uniform");
    row.steps = json.at("steps");
    row.guidance = json.at("guidance");
    row.guidance_begin = json.at("guidance_begin");
    row.guidance_end = json.at("guidance_end");
    row.count = json.at("count");
    row.seed = json.at("seed");
    row.metric = from_utf8(json.at("metric").get<std::string>());
    row.reference = from_utf8(json.value("reference", ""));
    row.content = json.value("content", "");
    row.value = json.at("value");
    return row;
  } catch (const ordered_json::exception& error) {
    throw Error(cat(where, ": not a line of a sweep: ", error.what()));
  }
}

bool is_measured(const std::string& line) {
  const auto json = ordered_json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return true;  // parse_sweep_row says what is wrong
  return std::none_of(json.begin(), json.end(), [](const auto& value) { return value.is_null(); });
}

bool same_point(const SweepRow& a, const SweepRow& b) {
  return !a.content.empty() && point_key(a) == point_key(b);
}

std::vector<SweepGroup> group_repetitions(const std::vector<SweepRow>& rows) {
  std::vector<SweepGroup> groups;
  for (const auto& row : rows) {
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const SweepGroup& group) { return setting_key(group.setting) == setting_key(row); });
    if (found == groups.end()) {
      groups.push_back({row, row.value, row.value, 1});
      continue;
    }
    const auto n = static_cast<double>(found->repetitions);
    found->setting.value = (found->setting.value * n + row.value) / (n + 1);
    found->low = std::min(found->low, row.value);
    found->high = std::max(found->high, row.value);
    ++found->repetitions;
  }
  return groups;
}

std::string sweep_table(const std::vector<SweepRow>& rows) {
  const auto groups = group_repetitions(rows);
  const Varying varying(groups);
  const auto columns = values_of(groups, &SweepRow::guidance);
  std::vector<std::string> names;
  for (const auto& group : groups) {
    const auto name = varying.name(group.setting);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  std::string out = cat("| ", join(values_of(groups, &SweepRow::metric)), " |");
  for (const double w : columns) out += cat(" guidance ", plain(w), " |");
  out += "\n| --- |";
  for (size_t i = 0; i < columns.size(); ++i) out += " ---: |";
  out += "\n";
  for (const auto& name : names) {
    const SweepGroup* best = nullptr;
    for (const auto& group : groups) {
      if (varying.name(group.setting) == name && (!best || group.setting.value < best->setting.value)) best = &group;
    }
    out += cat("| ", name, " |");
    for (const double w : columns) {
      const auto found = std::find_if(groups.begin(), groups.end(), [&](const SweepGroup& group) {
        return group.setting.guidance == w && varying.name(group.setting) == name;
      });
      if (found == groups.end()) {
        out += " – |";
        continue;
      }
      const std::string mark = &*found == best && columns.size() > 1 ? "**" : "";
      out += cat(" ", mark, number(found->setting.value), mark);
      if (found->repetitions > 1) out += cat(" (", number(found->low), "–", number(found->high), ")");
      out += " |";
    }
    out += "\n";
  }
  return out;
}

report::LineChart sweep_chart(const std::vector<SweepRow>& rows) {
  const auto groups = group_repetitions(rows);
  SDG_CHECK(!groups.empty(), "sweep: no points to draw");
  const Varying varying(groups);
  const auto guidances = values_of(groups, &SweepRow::guidance);
  const bool over_steps = varying.steps;
  report::LineChart chart;
  chart.title = cat(join(values_of(groups, &SweepRow::metric)), over_steps ? " over solver steps" : " over guidance");
  chart.x_label = over_steps ? "solver steps" : "guidance";
  chart.y_label = "distance (lower is better)";
  chart.log_x = over_steps;
  chart.log_y = true;
  for (const auto& group : groups) {
    auto name = varying.name(group.setting, !over_steps);
    if (over_steps && guidances.size() > 1) name += cat(", guidance ", plain(group.setting.guidance));
    auto series = std::find_if(chart.series.begin(), chart.series.end(),
                               [&](const report::Series& each) { return each.name == name; });
    if (series == chart.series.end()) series = chart.series.insert(series, report::Series{name, {}, {}, {}, {}});
    series->x.push_back(over_steps ? static_cast<double>(group.setting.steps) : group.setting.guidance);
    series->y.push_back(group.setting.value);
    series->low.push_back(group.low);
    series->high.push_back(group.high);
  }
  return chart;
}

std::string sweep_best(const std::vector<SweepRow>& rows) {
  const auto groups = group_repetitions(rows);
  SDG_CHECK(!groups.empty(), "sweep: no points");
  const auto& best = *std::min_element(groups.begin(), groups.end(),
                                       [](const auto& a, const auto& b) { return a.setting.value < b.setting.value; });
  const auto& at = best.setting;
  const Varying varying(groups);
  return cat("best: ", varying.name(at, false), " at guidance ", plain(at.guidance), ", ", at.steps, " ", at.solver,
             " steps, ", at.metric, " ", number(at.value),
             best.repetitions > 1 ? cat(" (mean of ", best.repetitions, ")") : std::string());
}

}  // namespace sdg::study
