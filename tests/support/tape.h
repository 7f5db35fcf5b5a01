#pragma once
#include <cstddef>
#include <memory>

#include "sdg/core/replay.h"

namespace sdg::test {

/// What a CUDA graph does, on the CPU: takes down each operation with its arguments, the tensors as memory and the
/// numbers as they are, and repeats them in their order into the same memory; of gradients those that compute them.
/// What the host does beside operations of LibTorch is not repeated, and an operation that hands numbers to the host
/// cannot be taken down: record() then throws "operation not permitted while recording". In one thread.
MakeRecording tapes();

/// How many operations were taken down since the program began.
size_t operations_taped();

}  // namespace sdg::test
