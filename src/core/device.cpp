#include "sdg/core/device.h"

#include <ATen/Context.h>
#include <ATen/SDPBackend.h>
#include <ATen/Version.h>
#include <c10/util/env.h>
#include <torch/cuda.h>

#include "core/philox_kernel.h"
#include "sdg/core/error.h"
#include "sdg/core/version.h"

namespace sdg {

namespace {

at::Device cuda_device(std::string_view name) {
  SDG_CHECK_USAGE(torch::cuda::is_available(), "device ", name, " asked for, but this LibTorch sees no CUDA device",
                  cuda_version().empty()
                      ? std::string(" (it was built for CPUs only)")
                      : cat(" (it was built for CUDA ", cuda_version(), "; is there a card, and a driver for that?)"));
  try {
    const at::Device device{std::string(name)};
    const auto count = torch::cuda::device_count();  // LibTorch's number of eight bits, which + makes an int of
    SDG_CHECK_USAGE(device.index() < count, "device ", name, " asked for, but there are only ", +count);
    return at::Device(at::kCUDA, device.has_index() ? device.index() : at::DeviceIndex{0});
  } catch (const c10::Error&) {
    throw UsageError(cat("device must be auto, cpu, cuda or cuda:N, got ", name));
  }
}

// cuDNN's own default is TF32. Its attention is about twice as fast as flash attention on compute capability 9.0, and
// slower before.
void set_up(const at::Device& device) {
  auto& context = at::globalContext();
  context.setAllowTF32CuDNN(false);
  using at::SDPBackend;
  if (compute_capability(device) >= 90)
    context.setSDPPriorityOrder(
        {static_cast<int64_t>(SDPBackend::cudnn_attention), static_cast<int64_t>(SDPBackend::flash_attention),
         static_cast<int64_t>(SDPBackend::efficient_attention), static_cast<int64_t>(SDPBackend::math),
         static_cast<int64_t>(SDPBackend::overrideable)});
}

}  // namespace

at::Device parse_device(std::string_view name) {
  if (name == "cpu" || (name == "auto" && !torch::cuda::is_available())) return at::Device("cpu");
  SDG_CHECK_USAGE(name == "auto" || name.substr(0, 4) == "cuda", "device must be auto, cpu, cuda or cuda:N, got ",
                  name);
  const auto device = cuda_device(name == "auto" ? "cuda:0" : name);
  set_up(device);
  return device;
}

int compute_capability(const at::Device& device) {
#ifdef SDG_CUDA_KERNELS
  if (device.is_cuda()) return sdg_compute_capability(device.has_index() ? device.index() : 0);
#endif
  return 0;
}

void only_deterministic(const at::Device& device) {
  if (!device.is_cuda()) return;
  c10::utils::set_env("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/false);  // cuBLAS reads it when it begins
  auto& context = at::globalContext();
  context.setDeterministicAlgorithms(true, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);  // nothing here reads memory that was not written
  context.setDeterministicCuDNN(true);
  context.setBenchmarkCuDNN(false);
}

void synchronize(const at::Device& device) {
  if (device.is_cuda()) torch::cuda::synchronize(device.index());
}

at::Tensor to_device(const at::Tensor& host, const at::Device& device) {
  if (!device.is_cuda()) return host.to(device);
  return (host.is_pinned() ? host : host.contiguous().pin_memory()).to(device, /*non_blocking=*/true);
}

std::string cpu_features() {
  std::string out = at::get_cpu_capability();  // which kernels LibTorch chose
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512bf16")) out += ", native bf16";
#endif
  return out;
}

}  // namespace sdg
