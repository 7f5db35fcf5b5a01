#pragma once
#include <filesystem>
#include <string>
#include <string_view>

#include "sdg/config/fields.h"

/// Configs as files. Groups are maps (`train: {steps: 5}`), and a dotted key says the same (`train.steps: 5`).
/// `extends: other` names one config that is read first: found beside the file, then as find_config does. What a config
/// leaves out stays as it is.
///
/// Every mistake is a UsageError of one line, `configs/a.yaml:12: train.bacth: unknown key; did you mean train.batch?`:
/// unknown and repeated keys, wrong types, values out of range, a group where an option stands, a circle of `extends`,
/// malformed YAML. Either the whole config is taken over or, where it throws, no option has changed.
namespace sdg::config {

void read_yaml(const Fields& fields, const std::filesystem::path& file);

/// The same from text; `name` stands for the file in messages, and `extends` is looked up as find_config does.
void read_yaml_text(const Fields& fields, const std::string& text, std::string_view name);

}  // namespace sdg::config
