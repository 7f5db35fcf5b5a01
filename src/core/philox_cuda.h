#pragma once
#include <array>

#include "core/philox_device.h"

namespace sdg::rng {

/// Was this program built with kernels for CUDA devices (nvcc found by CMake)?
bool has_cuda_kernels();
/// Is there one for this device?
bool has_cuda_kernels(const at::Device& device);

/// float32 [n, count] on the device of `samples` [n]; only where there are kernels.
Tensor draw_by_kernel(Draw draw, const std::array<uint32_t, 2>& key, const Tensor& samples, int64_t count);

}  // namespace sdg::rng
