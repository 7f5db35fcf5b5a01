#include "sdg/core/version.h"

#include <torch/cuda.h>
#include <torch/version.h>

#include "core/philox_cuda.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"

namespace sdg {

std::string version() {
  return SDG_VERSION;
}

std::string cuda_version() {
  return SDG_TORCH_CUDA_VERSION;
}

std::string version_report() {
  const auto devices = torch::cuda::is_available() ? torch::cuda::device_count() : 0;
  return cat("sdg ", version(), "\nLibTorch ", TORCH_VERSION,
             cuda_version().empty() ? "" : cat(" for CUDA ", cuda_version()),
             rng::has_cuda_kernels() ? ", with kernels for compute capability 8.0 and 9.0" : "", "\ndevices: CPU (",
             available_cores(), " cores, ", cpu_features(), ")",
             devices ? cat(", ", devices, " CUDA") : std::string(", no CUDA"));
}

}  // namespace sdg
