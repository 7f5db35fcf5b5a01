#pragma once
#include "sdg/core/tensor.h"

namespace sdg::vision {
/// The resize in front of the FID network, as pytorch-fid does it: bilinear, half-pixel centres, no antialiasing when
/// shrinking. Float [N, C, H, W] -> [N, C, height, width].
Tensor resize_bilinear(const Tensor& images, int64_t height, int64_t width);

/// TensorFlow 1's bilinear, in torch-fidelity and the ADM evaluator: source = target * in / out (no half-pixel offset),
/// between floor and the next pixel.
Tensor resize_bilinear_tf1(const Tensor& images, int64_t height, int64_t width);
}  // namespace sdg::vision
