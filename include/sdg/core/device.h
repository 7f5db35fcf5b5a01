#pragma once
#include <string>
#include <string_view>

#include <torch/types.h>

namespace sdg {
/// "auto" (CUDA if there is one, else CPU), "cpu", "cuda", "cuda:1". Throws UsageError where the device is not there.
at::Device parse_device(std::string_view name);

/// Waits until everything queued on `device` has run (nothing to wait for on the CPU).
void synchronize(const at::Device& device);

/// "x86-64 AVX-512 bf16" or so: what this CPU offers to the kernels.
std::string cpu_features();
}  // namespace sdg
