// Texts in pickles: keys as text, and the lines of protocol 0.
#include <charconv>

#include "sdg/core/error.h"
#include "tensors/pickle_impl.h"

namespace sdg::tensors {
namespace {

constexpr size_t kMaxShown = 16;  // items of a tuple that is a key

std::string key_text(const TorchValue& key, bool is_inner) {
  if (const auto* text = key.get<std::string>()) return is_inner ? "'" + *text + "'" : *text;
  if (const auto* number = key.get<int64_t>()) return std::to_string(*number);
  if (const auto* number = key.get<double>()) return cat(*number);
  if (const auto* flag = key.get<bool>()) return *flag ? "True" : "False";
  if (const auto* object = key.get<TorchValue::Object>())
    return object->text.empty() || object->name == "int" ? object->name : cat(object->name, "(", object->text, ")");
  if (const auto* record = key.get<TorchValue::Dict>()) return record->type.empty() ? "(dict)" : record->type;
  const auto* list = key.get<TorchValue::List>();
  if (!list || is_inner || list->size() > kMaxShown) return key.get<std::monostate>() ? "None" : "(tuple)";
  std::string out;
  for (const auto* item : *list) out += (out.empty() ? "(" : ", ") + key_text(*item, true);
  return list->size() == 1 ? out + ",)" : out.empty() ? "()" : out + ")";
}

void put_utf8(std::string& out, uint32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xc0 | code >> 6);
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xe0 | code >> 12);
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xf0 | code >> 18);
    tail(12);
    tail(6);
    tail(0);
  }
}

// `digits` hexadecimal ones at the front, taken off.
std::optional<uint32_t> take_hex(std::string_view& text, size_t digits) {
  uint32_t value = 0;
  if (text.size() < digits) return std::nullopt;
  const auto* const front = text.data();
  const auto [end, failed] = std::from_chars(front, front + digits, value, 16);
  if (failed != std::errc() || end != front + digits) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

}  // namespace

std::string key_text(const TorchValue& key) {
  return key_text(key, false);
}

std::optional<int64_t> pickled_int(std::string_view text) {
  if (text.ends_with('L')) text.remove_suffix(1);
  int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<double> pickled_float(std::string_view text) {
  double value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<std::string> pickled_string(std::string_view text) {
  if (text.size() < 2 || text.front() != text.back() || (text.front() != '\'' && text.front() != '"'))
    return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '\\') {
      out += c;
      continue;
    }
    if (text.empty()) return std::nullopt;
    const char escape = text.front();
    text.remove_prefix(1);
    if (escape == 'x') {
      const auto code = take_hex(text, 2);
      if (!code) return std::nullopt;
      out += static_cast<char>(*code);
    } else {
      out += escape == 'n' ? '\n' : escape == 't' ? '\t' : escape == 'r' ? '\r' : escape;
    }
  }
  return out;
}

std::optional<std::string> pickled_unicode(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto c = static_cast<unsigned char>(text.front());
    const bool escapes = text.starts_with("\\u") || text.starts_with("\\U");
    if (!escapes) {
      put_utf8(out, c);
      text.remove_prefix(1);
      continue;
    }
    const size_t digits = text[1] == 'u' ? 4 : 8;
    text.remove_prefix(2);
    const auto code = take_hex(text, digits);
    if (!code || *code > 0x10ffff) return std::nullopt;
    put_utf8(out, *code);
  }
  return out;
}

}  // namespace sdg::tensors
