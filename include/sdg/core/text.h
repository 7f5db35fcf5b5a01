#pragma once
#include <cstddef>
#include <sstream>
#include <string>
#include <vector>

namespace sdg {

/// "a, b, c" of anything that has operator<<.
template <class Range>
std::string join(const Range& parts, const std::string& between = ", ") {
  std::ostringstream out;
  const char* separator = "";
  for (const auto& part : parts) {
    out << separator << part;
    separator = between.c_str();
  }
  return out.str();
}

/// "a, b and 9 more": at most `shown` of the names.
inline std::string join_first(const std::vector<std::string>& names, size_t shown = 6) {
  if (names.size() <= shown) return join(names);
  const std::vector<std::string> first(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown));
  return join(first) + " and " + std::to_string(names.size() - shown) + " more";
}

}  // namespace sdg
