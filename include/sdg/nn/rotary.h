#pragma once
#include "sdg/core/tensor.h"

namespace sdg::nn {

/// Rotary positions of a grid x grid image (Su et al., arXiv 2104.09864, on two axes as LightningDiT, arXiv 2501.01423,
/// has them): neighbouring numbers 2 i and 2 i + 1 of a head are turned as a plane by the angle p f_i, the first half
/// of a head's width by the token's row p, the second by its column; f_i = 10000^(-2 i / (width / 2)), i < width / 4.
/// Float32 [2, extra + grid * grid, width]: cosines, then sines; `extra` tokens before the patches are not turned.
/// `width` of a head must be a multiple of 4.
Tensor rotary_table(int64_t width, int64_t grid, int64_t extra = 0);

/// x [..., T, heads, width] turned by a table [2, T, width].
Tensor rotated(const Tensor& x, const Tensor& table);

}  // namespace sdg::nn
