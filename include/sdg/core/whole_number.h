#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

namespace sdg {

/// All of `text` as a decimal number ("-3", "12"), without spaces or a plus; nothing where it is none, or not within 64
/// bits.
inline std::optional<int64_t> whole_number(std::string_view text) {
  int64_t out = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

}  // namespace sdg
