#pragma once
#include <string>
#include <string_view>

#include <torch/types.h>

namespace sdg {
/// "auto" (CUDA if there is one, else CPU), "cpu", "cuda", "cuda:1". Throws UsageError where the device is not there.
/// On a CUDA device float32 means float32 from then on, in convolutions too, and attention asks cuDNN first where that
/// is fastest (compute capability 9.0).
at::Device parse_device(std::string_view name);

/// 90 for compute capability 9.0; 0 for a CPU, and where this program was built without nvcc and cannot know.
int compute_capability(const at::Device& device);

/// From now on, everywhere in this program, CUDA devices are given only algorithms that give the same bits each time;
/// where LibTorch has none it throws. Call it before anything is computed there. A CPU needs nothing of that.
void only_deterministic(const at::Device& device);

/// Waits until everything queued on `device` has run (nothing to wait for on the CPU).
void synchronize(const at::Device& device);

/// A tensor of the host on `device`, without waiting there: by way of pinned memory, which is kept until the copy is
/// done. On the CPU the tensor itself.
at::Tensor to_device(const at::Tensor& host, const at::Device& device);

/// "x86-64 AVX-512 bf16" or so: what this CPU offers to the kernels.
std::string cpu_features();
}  // namespace sdg
