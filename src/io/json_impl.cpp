#include "io/json_impl.h"

#include "sdg/core/utf8.h"

namespace sdg::io {
namespace {

template <class Json>
Json all_in_utf8(const Json& value) {
  if (value.is_string()) return to_utf8(value.template get_ref<const std::string&>());
  if (!value.is_structured()) return value;
  Json out = value.is_array() ? Json::array() : Json::object();
  for (const auto& [key, inner] : value.items()) {
    if (value.is_array()) {
      out.push_back(all_in_utf8(inner));
    } else {
      out[to_utf8(key)] = all_in_utf8(inner);
    }
  }
  return out;
}

std::string without_backslashes(const std::string& text) {
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

}  // namespace

nlohmann::json in_utf8(const nlohmann::json& value) {
  return all_in_utf8(value);
}
nlohmann::ordered_json in_utf8(const nlohmann::ordered_json& value) {
  return all_in_utf8(value);
}

std::string json_text(const nlohmann::json& value, int indent) {
  return in_utf8(value).dump(indent);
}
std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return in_utf8(value).dump(indent);
}

std::string nested_json_text(const nlohmann::json& value) {
  return without_backslashes(json_text(value));
}
std::string nested_json_text(const nlohmann::ordered_json& value) {
  return without_backslashes(json_text(value));
}

}  // namespace sdg::io
