#pragma once
#include <set>
#include <string>
#include <vector>

#include "sdg/config/value.h"
#include "sdg/study/sweep.h"

// What a sweep's table and chart call its settings.
namespace sdg::study {

/// "1.5" of 1.50
std::string plain(double value);

/// The option's values among the groups in which it has an effect.
std::set<config::Value> values_of(const std::vector<SweepGroup>& groups, const std::string& option);

/// Which settings differ between the groups: only those are worth naming.
class Varying {
 public:
  explicit Varying(const std::vector<SweepGroup>& groups);
  bool has(const std::string& option) const { return options_.contains(option); }
  /// "online, heun, 10 steps": the label and what differs, apart from guidance (and steps).
  std::string name(const SweepRow& row, bool with_steps = true) const;

 private:
  std::set<std::string> options_;
};

/// Same label, metric and options, apart from the seed and from what has no effect?
bool same_setting(const SweepRow& a, const SweepRow& b);

/// One row of the table: a setting without its guidance, and the group of each guidance (null where there is none).
struct SettingRow {
  std::string name;
  std::vector<const SweepGroup*> cells;
};
std::vector<SettingRow> rows_of(const std::vector<SweepGroup>& groups, const std::set<config::Value>& guidances);

}  // namespace sdg::study
