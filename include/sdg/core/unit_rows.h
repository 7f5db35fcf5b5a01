#pragma once
#include <ATen/ops/where.h>

#include "sdg/core/tensor.h"

namespace sdg {

/// x [..., D] with rows of length 1, whatever their scale: also where squares of their numbers are too large or too
/// small for the type. Rows of zeros stay.
inline Tensor unit_rows(const Tensor& x) {
  const auto length = x.norm(2, {-1}, /*keepdim=*/true);
  const auto largest = x.abs().amax({-1}, /*keepdim=*/true);
  const auto scaled = x / at::where(largest.gt(0), largest, at::ones_like(largest));
  const auto squares_fit = length.gt(1e-12).logical_and(length.lt(1e18));
  return at::where(squares_fit, x / length, scaled / scaled.norm(2, {-1}, true).clamp_min(1e-12));
}

}  // namespace sdg
