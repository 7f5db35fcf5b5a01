#include "sdg/core/error.h"
#include "sdg/ranks/ranks.h"

namespace sdg::ranks {

ChosenExchange choose_exchange(Exchange wanted, const at::Device& device, const std::string& missing) {
  if (wanted == Exchange::kNccl) {
    SDG_CHECK_USAGE(device.is_cuda(), "--exchange nccl: needs GPUs, and this rank computes on ", device.str(),
                    "; leave it out, and tensors go through main memory (gloo)");
    SDG_CHECK_USAGE(missing.empty(), "--exchange nccl: ", missing);
    return {.nccl = true};
  }
  if (wanted == Exchange::kGloo || !device.is_cuda()) return {};
  if (missing.empty()) return {.nccl = true};
  return {.note = cat("gradients go through main memory, which is slow: ", missing)};
}

}  // namespace sdg::ranks
