#pragma once
#include <cstdint>
#include <string>

namespace sdg::cli {

/// CUDA_VISIBLE_DEVICES for a rank: of the devices that are visible ("" is all: "0,1,…") the one of its local rank.
/// Where the launcher has given each rank one of its own, that one.
inline std::string visible_device(const std::string& visible, int64_t local_rank) {
  if (visible.empty()) return std::to_string(local_rank);
  std::string rest = visible;
  for (int64_t i = 0; i < local_rank; ++i) {
    const auto comma = rest.find(',');
    if (comma == std::string::npos) return visible;  // fewer than ranks
    rest = rest.substr(comma + 1);
  }
  return rest.substr(0, rest.find(','));
}

}  // namespace sdg::cli
