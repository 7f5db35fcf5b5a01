#pragma once
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::metrics {
/// The one-to-one assignment of rows to columns with the smallest total cost (Kuhn 1955), by shortest augmenting paths
/// with potentials (Jonker & Volgenant 1987): O(min(R, C)^2 max(R, C)). `cost` is [R, C], finite. Returns the column of
/// each row, -1 for the R - C rows that are left over where R > C.
std::vector<int64_t> min_cost_assignment(const Tensor& cost);
}  // namespace sdg::metrics
