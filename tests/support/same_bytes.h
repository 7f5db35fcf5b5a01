// Equality of tensors to the bit: of NaN and -0 too, as == does not see them.
#pragma once
#include <cstring>

#include "sdg/core/tensor.h"

namespace sdg::test {

inline bool same_bytes(const Tensor& a, const Tensor& b) {
  const auto x = a.contiguous(), y = b.contiguous();
  return x.scalar_type() == y.scalar_type() && x.sizes() == y.sizes() &&
         (x.numel() == 0 || std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0);
}

}  // namespace sdg::test
