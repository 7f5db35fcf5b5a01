#include "sdg/core/utf8.h"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace sdg {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEF";
constexpr size_t kEscapeLength = 4;  // \xHH

unsigned char byte_at(std::string_view text, size_t at) {
  return static_cast<unsigned char>(text[at]);
}

// Bytes of the character at the front, or 0 where there is none (RFC 3629: no overlong form, no surrogate).
size_t character_length(std::string_view text) {
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  uint32_t point = first & (0xFFU >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte_at(text, i) & 0xC0U) != 0x80U) return 0;
    point = point << 6 | (byte_at(text, i) & 0x3FU);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  return point < kLeast[length] || point > 0x10FFFF || surrogate ? 0 : length;
}

// The byte that \xHH at the front stands for.
std::optional<unsigned char> escape_at(std::string_view text) {
  if (!text.starts_with("\\x") || text.size() < kEscapeLength) return {};
  const auto high = kDigits.find(text[2]), low = kDigits.find(text[3]);
  if (high == std::string_view::npos || low == std::string_view::npos) return {};
  return static_cast<unsigned char>(high << 4 | low);
}

void append_escape(std::string& out, unsigned char byte) {
  out += "\\x";
  out += kDigits[byte >> 4];
  out += kDigits[byte & 15];
}

}  // namespace

std::string to_utf8(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const size_t length = character_length(bytes);
    if (length == 0 || escape_at(bytes)) {
      append_escape(out, byte_at(bytes, 0));
      bytes.remove_prefix(1);
    } else {
      out += bytes.substr(0, length);
      bytes.remove_prefix(length);
    }
  }
  return out;
}

std::string from_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto byte = escape_at(text);
    out += byte ? static_cast<char>(*byte) : text.front();
    text.remove_prefix(byte ? kEscapeLength : 1);
  }
  return out;
}

}  // namespace sdg
