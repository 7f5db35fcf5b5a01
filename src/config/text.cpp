#include <algorithm>
#include <charconv>
#include <cmath>

#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "text_impl.h"

namespace sdg::config {
namespace {

constexpr size_t kShownCharacters = 60;

// Not in the middle of a UTF-8 character: its further bytes are 10xxxxxx.
std::string_view cut(std::string_view text) {
  size_t end = kShownCharacters;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end);
}

// The shortest digits that read back exactly, without exponent where a person would write none.
std::string number_text(double number) {
  if (!std::isfinite(number)) return std::isnan(number) ? ".nan" : number < 0 ? "-.inf" : ".inf";
  const double size = std::abs(number);
  const bool fixed = number == 0 || (size >= 1e-4 && size < 1e15);
  char buffer[64];
  const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
  const auto result = std::to_chars(std::begin(buffer), std::end(buffer), number, format);
  std::string text(std::begin(buffer), result.ptr);
  // 1e-05 -> 1e-5, 1e+20 -> 1e20
  const auto exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  size_t digits = exponent + 1;
  if (text[digits] == '+') text.erase(digits, 1);
  if (text[digits] == '-') ++digits;
  if (text[digits] == '0') text.erase(digits, 1);
  return text;
}

// Plain where no YAML reader could take it for anything but a string; in double quotes otherwise.
bool is_plain(std::string_view text) {
  static const std::vector<std::string> kWords = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"};
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto is_inner = [&](char c) {
    return is_letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '/' || c == '-' || c == '+';
  };
  const bool is_path = text.substr(0, 1) == "/" || text.substr(0, 2) == "./" || text.substr(0, 3) == "../";
  return !text.empty() && (is_path || is_letter(text.front())) && std::all_of(text.begin(), text.end(), is_inner) &&
         std::find(kWords.begin(), kWords.end(), lower_case(text)) == kWords.end();
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (auto& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i) out += separator;
    out += parts[i];
  }
  return out;
}

std::string_view parent_of(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

std::string_view leaf_of(std::string_view path) {
  const auto dot = path.rfind('.');
  return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string escaped(std::string_view text, char quote) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      if (quote != '\0' && (c == quote || c == '\\')) out += '\\';
      out += c;
    }
  }
  return out;
}

std::string shown_key(std::string_view key) {
  if (key.empty()) return "\"\"";
  return key.size() > kShownCharacters ? escaped(cut(key)) + "…" : escaped(key);
}

std::string in_quotes(std::string_view text) {
  const bool is_long = text.size() > kShownCharacters;
  return cat('"', escaped(is_long ? cut(text) : text, '"'), is_long ? "…" : "", '"');
}

std::string to_text(const Value& value) {
  struct Writer {
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(int64_t number) const { return std::to_string(number); }
    std::string operator()(double number) const { return number_text(number); }
    std::string operator()(const std::string& text) const {
      return is_plain(text) ? text : cat('"', escaped(text, '"'), '"');
    }
    std::string operator()(const std::vector<int64_t>& list) const {
      std::vector<std::string> parts(list.size());
      std::transform(list.begin(), list.end(), parts.begin(), [](int64_t number) { return std::to_string(number); });
      return cat("[", joined(parts), "]");
    }
  };
  return std::visit(Writer{}, value);
}

std::string as_given(const Value& value) {
  const auto* text = std::get_if<std::string>(&value);
  return text ? *text : to_text(value);
}

}  // namespace sdg::config
