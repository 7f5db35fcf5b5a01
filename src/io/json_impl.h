#pragma once
// JSON whose strings may hold names that are not UTF-8 (core/utf8.h). Everything that the program writes goes through
// here: nlohmann's own dump throws on such a name.
#include <nlohmann/json.hpp>
#include <string>

#include "sdg/core/utf8.h"

namespace sdg::io {

/// The same with all strings, keys too, as UTF-8.
template <class Json>
Json in_utf8(const Json& value) {
  if (value.is_string()) return to_utf8(value.template get_ref<const std::string&>());
  if (!value.is_structured()) return value;
  Json out = value.is_array() ? Json::array() : Json::object();
  for (const auto& [key, inner] : value.items()) {
    if (value.is_array()) {
      out.push_back(in_utf8(inner));
    } else {
      out[to_utf8(key)] = in_utf8(inner);
    }
  }
  return out;
}

/// The text on one line, or with lines and `indent` spaces a level.
template <class Json>
std::string json_text(const Json& value, int indent = -1) {
  return in_utf8(value).dump(indent);
}

/// The same for a string of metadata, which is escaped in its turn: backslashes stand as \u005c, so that there is no
/// text like an escape in it and one decoding of each value is enough.
template <class Json>
std::string nested_json_text(const Json& value) {
  const std::string text = json_text(value);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {  // in JSON a backslash never stands alone
    if (text[i] != '\\') {
      out += text[i];
    } else if (text[++i] == '\\') {
      out += "\\u005c";
    } else {
      out += {'\\', text[i]};
    }
  }
  return out;
}

}  // namespace sdg::io
