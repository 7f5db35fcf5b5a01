#pragma once
#include "sdg/core/tensor.h"

namespace sdg::vision {

/// uint8 [N, C, H, W] -> float [N, C, side, side] in [0, 1]; other sizes are resized (bilinear, antialiased) first.
/// Throws Error, beginning with `who`, for other numbers of channels.
Tensor unit_input(const Tensor& images, int64_t channels, int64_t side, const char* who);

}  // namespace sdg::vision
