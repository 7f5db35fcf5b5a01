#pragma once
#include <cstdint>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::data {

/// Warns, beginning with `where`, of class numbers int64 [N] that look like identifiers: of more than 100 numbers up to
/// the largest fewer than half occur. Every number up to the largest is a class, and costs a network a row of its
/// table.
void warn_of_gaps(const Tensor& numbers, const std::string& where);

}  // namespace sdg::data
