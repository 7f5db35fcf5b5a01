#include "sdg/config/fields.h"

#include <algorithm>

#include "sdg/core/error.h"

namespace sdg::config {
namespace {

bool is_name_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::string Fields::join(std::string_view name) const {
  std::string path = prefix_.empty() ? std::string(name) : cat(prefix_, ".", name);
  SDG_ASSERT(!name.empty() && std::all_of(name.begin(), name.end(), is_name_letter), "option ", path,
             ": expected a name of a-z, 0-9 and _, got \"", name, "\"");
  return path;
}

void Fields::operator()(std::string_view name, Slot slot, Doc doc) {
  const std::string path = join(name);
  SDG_ASSERT(path != "extends", "option extends: this name is kept for the configs themselves");
  SDG_ASSERT(!find(path) && !find_group(path), "option ", path, ": declared twice");
  if (const auto* named = std::get_if<NamedSlot>(&slot)) doc.choices = named->names();
  Value initial = std::visit([](const auto& value) { return Value(*value); }, slot);
  fields_.push_back({path, slot, std::move(doc), std::move(initial)});
}

void Fields::enter(std::string_view name, std::string help) {
  std::string path = join(name);
  SDG_ASSERT(!find(path), "group ", path, ": declared as an option already");
  prefix_ = path;
  if (!find_group(path)) groups_.push_back({std::move(path), std::move(help)});
}

const Field* Fields::find(std::string_view path) const {
  const auto found =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return field.path == path; });
  return found == fields_.end() ? nullptr : &*found;
}

const Group* Fields::find_group(std::string_view path) const {
  const auto found =
      std::find_if(groups_.begin(), groups_.end(), [&](const Group& group) { return group.path == path; });
  return found == groups_.end() ? nullptr : &*found;
}

}  // namespace sdg::config
