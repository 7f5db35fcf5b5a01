#pragma once
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>

namespace sdg::ranks {

/// The ranks' group by NCCL, on the current GPU of each; its calls wait until they are done, `patience` at most, and
/// throw after that. Throws Error where why_no_nccl() says something.
c10::intrusive_ptr<c10d::Backend> nccl_group(const c10::intrusive_ptr<c10d::Store>& store, int64_t rank, int64_t ranks,
                                             std::chrono::milliseconds patience);

}  // namespace sdg::ranks
