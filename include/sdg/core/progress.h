#pragma once
#include <cstdint>
#include <functional>

namespace sdg {
/// Called from long work with (done, total) in the unit of that work; may be empty. Throwing from it cancels the work.
using Progress = std::function<void(int64_t done, int64_t total)>;
}  // namespace sdg
