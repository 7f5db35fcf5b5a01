#include "keys_impl.h"
#include "sdg/config/suggest.h"
#include "sdg/core/error.h"
#include "text_impl.h"

namespace sdg::config {
namespace {

std::vector<std::string> paths(const Fields& fields, KeyKind kind) {
  std::vector<std::string> out;
  if (kind == KeyKind::kGroup) {
    for (const auto& group : fields.groups()) out.push_back(group.path);
  } else {
    for (const auto& field : fields.list()) out.push_back(field.path);
  }
  return out;
}

// The last parts of the options and groups directly below `group`, at most eight.
std::string keys_below(const Fields& fields, std::string_view group) {
  constexpr size_t kShown = 8;
  std::vector<std::string> names;
  for (const auto kind : {KeyKind::kOption, KeyKind::kGroup}) {
    for (const auto& path : paths(fields, kind)) {
      if (parent_of(path) == group) names.emplace_back(leaf_of(path));
    }
  }
  if (names.size() > kShown) {
    names.resize(kShown);
    names.emplace_back("…");
  }
  return joined(names);
}

}  // namespace

std::string unknown_key(const Fields& fields, std::string_view path, KeyKind kind) {
  std::string near = closest(path, paths(fields, kind));
  if (near.empty()) near = closest(path, paths(fields, kind == KeyKind::kGroup ? KeyKind::kOption : KeyKind::kGroup));
  if (!near.empty()) return cat("unknown key; did you mean ", near, "?");
  const auto group = parent_of(path);
  if (!group.empty() && !fields.find_group(group)) return "unknown key";
  const std::string keys = keys_below(fields, group);
  return keys.empty() ? "unknown key"
                      : cat("unknown key; ", group.empty() ? "the keys are " : cat("below ", group, " stand "), keys);
}

std::string group_needs_keys(const Fields& fields, std::string_view group) {
  const std::string prefix = cat(group, ".");
  for (const auto& field : fields.list()) {
    if (field.path.compare(0, prefix.size(), prefix) == 0) {
      return cat("is a group of options: expected keys below it, such as ", field.path);
    }
  }
  return "is a group without options";
}

}  // namespace sdg::config
