#pragma once
#include <cstdint>
#include <memory>

namespace sdg {

/// While one lives, tensors that its thread makes on the CPU lie in blocks that the thread gave back before, of the
/// same number of bytes, so that work which repeats itself takes no memory from the system after its first round. What
/// is kept goes back with the pool; tensors may outlive it and may be given up on other threads. A pool within the life
/// of another of the same thread does nothing. Programs that link this have LibTorch allocate through it, with and
/// without a pool: 64 bytes before each tensor's are its own.
class BlockPool {
 public:
  BlockPool();
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  /// Blocks that were taken from the system so far.
  int64_t taken() const;

 private:
  struct Blocks;
  friend struct PoolingAllocator;
  std::unique_ptr<Blocks> own_;  ///< null within another pool
};

}  // namespace sdg
