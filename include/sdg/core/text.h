#pragma once
#include <sstream>
#include <string>

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

}  // namespace sdg
