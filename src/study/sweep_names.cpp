#include "study/sweep_names.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "sdg/core/error.h"
#include "sdg/core/text.h"

namespace sdg::study {
namespace {

// In this order settings are named; options that are not listed come between grid and steps.
int rank(const std::string& option) {
  constexpr std::array kOrder{"solver", "grid", "", "steps", "guidance_begin", "count"};
  const auto found = std::find(kOrder.begin(), kOrder.end(), option);
  return static_cast<int>(found == kOrder.end() ? 2 : found - kOrder.begin());
}

std::string phrase(const sample::SampleOptions& sample, const config::Field& field) {
  const auto value = config::to_text(config::current_value(field));
  if (field.path == "solver") return value;
  if (field.path == "grid") return value + " grid";
  if (field.path == "steps") return value + " steps";
  if (field.path == "count") return value + " images";
  if (field.path == "guidance_begin")
    return cat("guided ", plain(sample.guidance_begin), " to ", plain(sample.guidance_end));
  return cat(field.path, " ", value);
}

}  // namespace

std::string plain(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::set<config::Value> values_of(const std::vector<SweepGroup>& groups, const std::string& option) {
  std::set<config::Value> out;
  for (const auto& group : groups) {
    auto sample = group.setting.sample;
    if (!sample::idle(sample).contains(option))
      out.insert(config::current_value(*config::Fields::of(sample).find(option)));
  }
  return out;
}

Varying::Varying(const std::vector<SweepGroup>& groups) {
  sample::SampleOptions declared;
  const auto fields = config::Fields::of(declared);
  for (const auto& field : fields.list()) {
    if (field.doc.only_speed || field.path == "seed" || values_of(groups, field.path).size() < 2) continue;
    options_.insert(field.path == "guidance_end" ? "guidance_begin" : field.path);  // an interval is one thing
  }
}

std::string Varying::name(const SweepRow& row, bool with_steps) const {
  auto sample = row.sample;
  const auto idle = sample::idle(sample);
  auto fields = config::Fields::of(sample).list();
  std::stable_sort(fields.begin(), fields.end(),
                   [](const auto& a, const auto& b) { return rank(a.path) < rank(b.path); });
  std::vector<std::string> parts{row.label};
  for (const auto& field : fields) {
    const auto& option = field.path;
    if (!has(option) || option == "guidance" || (option == "steps" && !with_steps) || idle.contains(option)) continue;
    parts.push_back(phrase(sample, field));
  }
  return join(parts);
}

bool same_setting(const SweepRow& a, const SweepRow& b) {
  auto of_a = sample::effective(a.sample), of_b = sample::effective(b.sample);
  of_a.seed = of_b.seed = 0;
  return a.label == b.label && a.metric == b.metric && of_a == of_b;
}

std::vector<SettingRow> rows_of(const std::vector<SweepGroup>& groups, const std::set<config::Value>& guidances) {
  const Varying varying(groups);
  std::vector<const SweepGroup*> order;
  for (const auto& group : groups) order.push_back(&group);
  // Those with the most to say make the rows; the others find themselves in them, or make their own.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return sample::idle(a->setting.sample).size() < sample::idle(b->setting.sample).size();
  });
  std::vector<SettingRow> rows;
  std::set<const SweepGroup*> shown;
  for (const auto* group : order) {
    if (shown.contains(group)) continue;
    SettingRow row{varying.name(group->setting), {}};
    for (const auto& w : guidances) {
      auto wanted = group->setting;
      wanted.sample.guidance = std::get<double>(w);
      const auto found = std::find_if(groups.begin(), groups.end(),
                                      [&](const SweepGroup& each) { return same_setting(each.setting, wanted); });
      row.cells.push_back(found == groups.end() ? nullptr : &*found);
      if (row.cells.back()) shown.insert(row.cells.back());
    }
    rows.push_back(std::move(row));
  }
  const auto first = [](const SettingRow& row) {
    const SweepGroup* least = nullptr;
    for (const auto* cell : row.cells)
      if (cell && (!least || cell < least)) least = cell;
    return least;
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return first(a) < first(b); });
  return rows;
}

}  // namespace sdg::study
