#pragma once
#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace sdg {
using at::Tensor;
using Shape = std::vector<int64_t>;

/// "[2, 3, 8, 8]"
std::string to_string(at::IntArrayRef shape);
}  // namespace sdg
