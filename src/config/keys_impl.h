#pragma once
#include <string>
#include <string_view>

#include "sdg/config/fields.h"

// What to say of a key that is no option.
namespace sdg::config {
enum class KeyKind { kOption, kGroup };
/// `unknown key; did you mean train.batch?`, or the keys that stand there where none is near.
std::string unknown_key(const Fields& fields, std::string_view path, KeyKind kind);
/// `is a group of options: expected keys below it, such as train.steps`.
std::string group_needs_keys(const Fields& fields, std::string_view group);
}  // namespace sdg::config
