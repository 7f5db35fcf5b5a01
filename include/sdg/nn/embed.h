#pragma once
#include "sdg/core/tensor.h"

namespace sdg::nn {

/// Sinusoid of the time, [N] -> [N, dim]: [cos(t f_0) … , sin(t f_0) …] with f_i = 10000^(-i / floor(dim / 2)); an odd
/// dim ends in a zero. Computed in float32, or in float64 where t is.
Tensor time_embedding(const Tensor& t, int64_t dim);

/// Fixed position table of a grid x grid image, float32 [grid*grid, dim], tokens row by row. The first dim/2 columns
/// encode the column of the token, the rest its row; each half is [sin(p w_i) …, cos(p w_i) …] with w_i = 10000^(-i /
/// (dim / 4)). dim must be a multiple of 4.
Tensor sincos_position_table(int64_t dim, int64_t grid);

}  // namespace sdg::nn
