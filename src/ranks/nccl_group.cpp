// Where LibTorch has NCCL and the headers of NCCL and CUDA are there (src/ranks/CMakeLists.txt); this file alone sees
// them.
#include "ranks/nccl_group.h"

#include "sdg/core/error.h"
#include "sdg/ranks/ranks.h"

#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

#include <cstdlib>

namespace sdg::ranks {

std::string why_no_nccl() {
  return {};
}

c10::intrusive_ptr<c10d::Backend> nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int64_t rank, int64_t ranks,
                                             std::chrono::milliseconds patience) {
  // Waiting on the host is what makes a lost rank an error here; elsewhere a watchdog would end the process.
  ::setenv("TORCH_NCCL_BLOCKING_WAIT", "1", 1);
  const auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = patience;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, static_cast<int>(rank), static_cast<int>(ranks), options);
}

}  // namespace sdg::ranks

#else

namespace sdg::ranks {

std::string why_no_nccl() {
  return SDG_WHY_NO_NCCL;
}

c10::intrusive_ptr<c10d::Backend> nccl_group(const c10::intrusive_ptr<c10d::Store>&, int64_t, int64_t,
                                             std::chrono::milliseconds) {
  throw Error(why_no_nccl());
}

}  // namespace sdg::ranks
#endif
