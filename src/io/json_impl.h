#pragma once
// JSON whose strings may hold names that are not UTF-8 (core/utf8.h). Everything that the program writes goes through
// here: nlohmann's own dump throws on such a name. Writing is compiled once: it is most of what a user of it costs.
#include <nlohmann/json.hpp>
#include <string>

namespace sdg::io {

/// The same with all strings, keys too, as UTF-8.
nlohmann::json in_utf8(const nlohmann::json& value);
nlohmann::ordered_json in_utf8(const nlohmann::ordered_json& value);

/// The text on one line, or with lines and `indent` spaces a level.
std::string json_text(const nlohmann::json& value, int indent = -1);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

/// The same for a string of metadata, which is escaped in its turn: backslashes stand as \u005c, so that there is no
/// text like an escape in it and one decoding of each value is enough.
std::string nested_json_text(const nlohmann::json& value);
std::string nested_json_text(const nlohmann::ordered_json& value);

}  // namespace sdg::io
