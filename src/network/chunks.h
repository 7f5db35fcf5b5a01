#pragma once
#include <functional>
#include <vector>

#include "sdg/core/progress.h"
#include "sdg/core/tensor.h"

namespace sdg::network {

/// How many pieces of at most `size` the indices make.
inline int64_t chunk_count(const std::vector<int64_t>& indices, int64_t size) {
  return (static_cast<int64_t>(indices.size()) + size - 1) / size;
}

/// Calls work(i, chunk i of the indices) for each chunk, on the CPU over the worker pool. `progress` is in indices.
void for_each_chunk(const std::vector<int64_t>& indices, int64_t size, const at::Device& device,
                    const Progress& progress,
                    const std::function<void(int64_t i, const std::vector<int64_t>& chunk)>& work);

}  // namespace sdg::network
