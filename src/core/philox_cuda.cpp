#include "core/philox_cuda.h"

#include "sdg/core/device.h"
#include "sdg/core/error.h"

#ifdef SDG_CUDA_KERNELS
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "core/philox_kernel.h"
#endif

namespace sdg::rng {

bool has_cuda_kernels(const at::Device& device) {
  constexpr int kOldest = 80;  // for which they are built
  return has_cuda_kernels() && device.is_cuda() && compute_capability(device) >= kOldest;
}

#ifdef SDG_CUDA_KERNELS

bool has_cuda_kernels() {
  return true;
}

Tensor draw_by_kernel(Draw draw, const std::array<uint32_t, 2>& key, const Tensor& samples, int64_t count) {
  const c10::cuda::CUDAGuard guard(samples.device());
  auto out = at::empty({samples.size(0), count}, samples.options().dtype(at::kFloat));
  if (out.numel() == 0) return out;
  const char* failure =
      sdg_philox_fill(draw == Draw::kNormal ? 1 : 0, out.data_ptr<float>(), samples.const_data_ptr<int64_t>(),
                      samples.size(0), count, key[0], key[1], c10::cuda::getCurrentCUDAStream().stream());
  SDG_CHECK(!failure, "random numbers on ", samples.device().str(), ": ", failure);
  return out;
}

#else

bool has_cuda_kernels() {
  return false;
}

Tensor draw_by_kernel(Draw /*draw*/, const std::array<uint32_t, 2>& /*key*/, const Tensor& /*samples*/,
                      int64_t /*count*/) {
  throw Error("random numbers: this program was built without CUDA kernels");
}

#endif

}  // namespace sdg::rng
