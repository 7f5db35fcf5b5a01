#include "sdg/core/block_pool.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <unordered_map>
#include <vector>

namespace sdg {

struct BlockPool::Blocks {
  std::unordered_map<size_t, std::vector<void*>> kept;  // what tensors saw, by bytes
  int64_t taken = 0;

  Blocks() = default;
  ~Blocks();
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  // Null where none is kept.
  void* take(size_t bytes) {
    auto& blocks = kept[bytes];
    if (blocks.empty()) {
      ++taken;
      return nullptr;
    }
    auto* data = blocks.back();
    blocks.pop_back();
    return data;
  }
};

// LibTorch's own, with pools where they live. Registered before main, as LibTorch asks. All blocks are alike, with a
// pool and without, for there is one deleter of them all: before what a tensor sees stands the number of its bytes.
struct PoolingAllocator final : c10::Allocator {
  static constexpr size_t kHead = 64;  // LibTorch's alignment
  static thread_local BlockPool::Blocks* here;

  PoolingAllocator() { c10::SetCPUAllocator(this); }

  c10::DataPtr allocate(size_t bytes) override {
    const c10::Device cpu(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &give_back, cpu};
    void* data = here ? here->take(bytes) : nullptr;
    if (!data) {
      auto* block = static_cast<char*>(c10::alloc_cpu(kHead + bytes));
      *reinterpret_cast<size_t*>(block) = bytes;
      data = block + kHead;
    }
    return {data, data, &give_back, cpu};
  }
  static void give_back(void* data) {
    if (!data) return;
    if (here) {
      here->kept[bytes_of(data)].push_back(data);
    } else {
      release(data);
    }
  }
  static size_t bytes_of(void* data) { return *reinterpret_cast<size_t*>(static_cast<char*>(data) - kHead); }
  static void release(void* data) { c10::free_cpu(static_cast<char*>(data) - kHead); }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

thread_local BlockPool::Blocks* PoolingAllocator::here = nullptr;

namespace {
PoolingAllocator pooling;
}

BlockPool::Blocks::~Blocks() {
  for (const auto& [bytes, blocks] : kept)
    for (auto* data : blocks) PoolingAllocator::release(data);
}

BlockPool::BlockPool() {
  if (PoolingAllocator::here) return;
  own_ = std::make_unique<Blocks>();
  PoolingAllocator::here = own_.get();
}

BlockPool::~BlockPool() {
  if (own_) PoolingAllocator::here = nullptr;
}

int64_t BlockPool::taken() const {
  return own_ ? own_->taken : 0;
}

}  // namespace sdg
