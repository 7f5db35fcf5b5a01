#pragma once
#include <initializer_list>
#include <string_view>

#include "sdg/core/tensor.h"

namespace sdg {
/// Throws unless `x` has the expected shape; -1 accepts any extent. `name` is how the message calls the tensor,
/// e.g. check_shape(scores, {-1, K}, "sinkhorn: scores").
void check_shape(const Tensor& x, std::initializer_list<int64_t> expected, std::string_view name);
}  // namespace sdg
