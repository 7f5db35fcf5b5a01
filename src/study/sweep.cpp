#include "sdg/study/sweep.h"

#include <algorithm>
#include <cstdio>

#include "generate/options_json_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/core/utf8.h"
#include "study/sweep_names.h"

namespace sdg::study {
namespace {

using nlohmann::ordered_json;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::string metrics_of(const std::vector<SweepGroup>& groups) {
  std::set<std::string> names;
  for (const auto& group : groups) names.insert(group.setting.metric);
  return join(names);
}

void read_options(const ordered_json& json, sample::SampleOptions& sample, const std::string& where) {
  const auto fields = config::Fields::of(sample);
  for (const auto& field : fields.list()) {
    const auto found = json.find(field.path);
    if (found == json.end()) continue;
    const auto parsed = config::try_parse(field, found->is_string() ? found->get<std::string>() : found->dump());
    SDG_CHECK(parsed.problem.empty(), where, ": ", field.path, ": ", parsed.problem);
    config::assign(field, parsed.value);
  }
}

}  // namespace

std::string to_json(const SweepRow& row) {
  ordered_json json{{"label", row.label}, {"checkpoint", row.checkpoint}, {"step", row.step}};
  json.update(generate::to_json(row.sample));
  json.update(ordered_json{
      {"metric", row.metric}, {"reference", row.reference}, {"content", row.content}, {"value", row.value}});
  return io::json_text(json);
}

SweepRow parse_sweep_row(const std::string& line, const std::string& where) {
  try {
    const auto json = ordered_json::parse(line);
    SweepRow row;
    row.label = from_utf8(json.at("label").get<std::string>());
    row.checkpoint = from_utf8(json.at("checkpoint").get<std::string>());
    row.step = json.at("step");
    read_options(json, row.sample, where);
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
  return !a.content.empty() && a.content == b.content && a.metric == b.metric &&
         sample::effective(a.sample) == sample::effective(b.sample);
}

std::vector<SweepGroup> group_repetitions(const std::vector<SweepRow>& rows) {
  std::vector<SweepGroup> groups;
  for (const auto& row : rows) {
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const SweepGroup& group) { return same_setting(group.setting, row); });
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
  const auto columns = values_of(groups, "guidance");
  std::string out = cat("| ", metrics_of(groups), " |");
  for (const auto& w : columns) out += cat(" guidance ", plain(std::get<double>(w)), " |");
  out += "\n| --- |";
  for (size_t i = 0; i < columns.size(); ++i) out += " ---: |";
  out += '\n';
  for (const auto& row : rows_of(groups, columns)) {
    const SweepGroup* best = nullptr;
    for (const auto* cell : row.cells)
      if (cell && (!best || cell->setting.value < best->setting.value)) best = cell;
    out += cat("| ", row.name, " |");
    for (const auto* cell : row.cells) {
      if (!cell) {
        out += " – |";
        continue;
      }
      const std::string mark = cell == best && columns.size() > 1 ? "**" : "";
      out += cat(" ", mark, number(cell->setting.value), mark);
      if (cell->repetitions > 1) out += cat(" (", number(cell->low), "–", number(cell->high), ")");
      out += " |";
    }
    out += '\n';
  }
  return out;
}

namespace {

void add_point(report::Series& series, double x, const SweepGroup& group) {
  series.x.push_back(x);
  series.y.push_back(group.setting.value);
  series.low.push_back(group.low);
  series.high.push_back(group.high);
}

std::vector<report::Series> over_guidance(const std::vector<SweepGroup>& groups) {
  const auto guidances = values_of(groups, "guidance");
  std::vector<report::Series> out;
  for (const auto& row : rows_of(groups, guidances)) {
    out.push_back({row.name, {}, {}, {}, {}});
    auto w = guidances.begin();
    for (const auto* cell : row.cells) {
      if (cell) add_point(out.back(), std::get<double>(*w), *cell);
      ++w;
    }
  }
  return out;
}

std::vector<report::Series> over_steps(const std::vector<SweepGroup>& groups, const Varying& varying) {
  const auto steps = values_of(groups, "steps");
  std::vector<report::Series> out;
  for (const auto& group : groups) {
    const auto& sample = group.setting.sample;
    auto name = varying.name(group.setting, false);
    if (varying.has("guidance")) name += cat(", guidance ", plain(sample.guidance));
    auto series = std::find_if(out.begin(), out.end(), [&](const report::Series& each) { return each.name == name; });
    if (series == out.end()) series = out.insert(series, report::Series{name, {}, {}, {}, {}});
    if (!sample::idle(sample).contains("steps")) {
      add_point(*series, static_cast<double>(sample.steps), group);
      continue;
    }
    for (const auto& end : {*steps.begin(), *steps.rbegin()})
      add_point(*series, static_cast<double>(std::get<int64_t>(end)), group);
  }
  return out;
}

}  // namespace

report::LineChart sweep_chart(const std::vector<SweepRow>& rows) {
  const auto groups = group_repetitions(rows);
  SDG_CHECK(!groups.empty(), "sweep: no points to draw");
  const Varying varying(groups);
  const bool steps = varying.has("steps");
  report::LineChart chart;
  chart.title = cat(metrics_of(groups), steps ? " over solver steps" : " over guidance");
  chart.x_label = steps ? "solver steps" : "guidance";
  chart.y_label = "distance (lower is better)";
  chart.log_x = steps;
  chart.log_y = true;
  chart.series = steps ? over_steps(groups, varying) : over_guidance(groups);
  return chart;
}

std::string sweep_best(const std::vector<SweepRow>& rows) {
  const auto groups = group_repetitions(rows);
  SDG_CHECK(!groups.empty(), "sweep: no points");
  const auto& best = *std::min_element(groups.begin(), groups.end(),
                                       [](const auto& a, const auto& b) { return a.setting.value < b.setting.value; });
  const auto& at = best.setting;
  return cat("best: ", Varying(groups).name(at, false), " at guidance ", plain(at.sample.guidance), ", ",
             sample::steps_text(at.sample), ", ", at.metric, " ", number(at.value),
             best.repetitions > 1 ? cat(" (mean of ", best.repetitions, ")") : std::string());
}

}  // namespace sdg::study
