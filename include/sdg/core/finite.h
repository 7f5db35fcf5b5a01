#pragma once
#include <string_view>

#include "sdg/core/tensor.h"

namespace sdg {
/// Is no element NaN or infinite? One pass without a copy (of float16 and bfloat16 with one); true for whole numbers.
bool is_finite(const Tensor& x);
/// Throws Error `where: name holds NaN or infinity`, or, of weights that are complex, that they are.
void check_finite(const Tensor& x, std::string_view where, std::string_view name);
}  // namespace sdg
