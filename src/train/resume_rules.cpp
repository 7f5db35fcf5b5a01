// What may differ between a run and its going on.
#include <set>

#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/train/trainer.h"

namespace sdg::train {
namespace {

// A run may go on with these changed: they say how long it lasts and what is reported, not what is learned.
bool may_change(const std::string& key) {
  static const std::set<std::string> free_keys{
      "device",          "data.threads",        "data.cache_mb",    "data.path",  "data.autoencoder",  "train.steps",
      "train.log_every", "train.picture_every", "train.save_every", "train.keep", "cluster.early_exit"};
  return free_keys.count(key) || key.rfind("sample.", 0) == 0 || key.rfind("eval.", 0) == 0;
}

}  // namespace

std::vector<std::string> conflicting_keys(const RunConfig& old_config, const RunConfig& new_config) {
  auto a = old_config, b = new_config;
  const auto old_fields = config::Fields::of(a), new_fields = config::Fields::of(b);
  std::vector<std::string> conflicts;
  for (const auto& field : old_fields.list()) {
    const auto* other = new_fields.find(field.path);
    const auto before = config::to_text(config::current_value(field)),
               after = config::to_text(config::current_value(*other));
    if (before != after && !may_change(field.path))
      conflicts.push_back(cat(field.path, " (", before, " -> ", after, ")"));
  }
  return conflicts;
}

}  // namespace sdg::train
