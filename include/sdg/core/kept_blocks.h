#pragma once
#include <c10/core/Allocator.h>

#include <cstddef>

namespace sdg {

/// The allocator of main memory that keeps large blocks (1 MiB or more) when tensors give them back, and gives them out
/// again: a training step asks for the same activations each time, and a block that comes anew from the system must be
/// cleared by it, page by page. What is in use and what is kept stay together within 5/4 of the most that was in use at
/// one time; a block is at most 5/4 of what was asked for. Smaller blocks are those of LibTorch's own allocator.
/// Content is whatever is there. Where the system has no more, all that is kept goes back to it before c10::Error is
/// thrown. Any thread may call it.
c10::Allocator& kept_blocks();

/// Bytes of large blocks that are in use, and that are kept for the next.
struct BlockBytes {
  size_t in_use = 0, kept = 0;
};
BlockBytes block_bytes();

/// From now on all tensors in main memory come from kept_blocks(). Call it before other threads are there.
void keep_large_blocks();

}  // namespace sdg
