#include "sdg/core/device.h"

#include <ATen/Version.h>
#include <torch/cuda.h>

#include "sdg/core/error.h"

namespace sdg {

at::Device parse_device(std::string_view name) {
  if (name == "auto") return torch::cuda::is_available() ? at::Device("cuda:0") : at::Device("cpu");
  if (name == "cpu") return at::Device("cpu");
  SDG_CHECK_USAGE(name.substr(0, 4) == "cuda", "device must be auto, cpu, cuda or cuda:N, got ", name);
  SDG_CHECK_USAGE(torch::cuda::is_available(), "device ", name, " asked for, but this LibTorch sees no CUDA device");
  try {
    const at::Device device{std::string(name)};
    const auto count = static_cast<int>(torch::cuda::device_count());
    SDG_CHECK_USAGE(!device.has_index() || device.index() < count, "device ", name, " asked for, but there are only ",
                    count);
    return device;
  } catch (const c10::Error&) {
    throw UsageError(cat("device must be auto, cpu, cuda or cuda:N, got ", name));
  }
}

void synchronize(const at::Device& device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

std::string cpu_features() {
  std::string out = at::get_cpu_capability();  // which kernels LibTorch chose
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) out += ", native bf16";
#endif
  return out;
}

}  // namespace sdg
