#pragma once
#include <array>

namespace sdg {

/// What of a network's work is queued on a GPU.
enum class Graph {
  kNone,  ///< each kernel by itself
  kCuda,  ///< all at once, as recorded in a CUDA graph
};
constexpr auto names_of(Graph) {
  return std::array{"none", "cuda"};
}

}  // namespace sdg
