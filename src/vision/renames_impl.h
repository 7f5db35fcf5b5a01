#pragma once
#include <regex>
#include <string>
#include <utility>
#include <vector>

/// Other code's names of tensors into ours, part by part.
namespace sdg::vision {

using Renames = std::vector<std::pair<std::regex, std::string>>;

/// Of pairs (pattern, what stands in its place), to be applied in this order.
inline Renames renames(const std::vector<std::pair<std::string, std::string>>& parts) {
  Renames out;
  for (const auto& [from, to] : parts) out.emplace_back(std::regex(from), to);
  return out;
}

inline std::string renamed(std::string name, const Renames& parts) {
  for (const auto& [from, to] : parts) name = std::regex_replace(name, from, to);
  return name;
}

}  // namespace sdg::vision
