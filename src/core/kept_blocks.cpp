#include "sdg/core/kept_blocks.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <unordered_map>

namespace sdg {
namespace {

constexpr size_t kLarge = size_t{1} << 20, kRounding = size_t{1} << 16;
constexpr uintptr_t kPage = 4096;

constexpr size_t and_a_quarter(size_t bytes) {
  return bytes + bytes / 4;
}

class KeptBlocks : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    void* block = bytes < kLarge ? small().raw_allocate(bytes) : take(bytes);
    return {block, block, raw_deleter(), at::kCPU};
  }
  c10::DeleterFnPtr raw_deleter() const override {
    return [](void* block) { static_cast<KeptBlocks&>(kept_blocks()).give_back(block); };
  }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }

  BlockBytes bytes() const {
    const std::lock_guard lock(mutex_);
    return {in_use_, kept_};
  }

 private:
  struct Free {
    void* block;
    uint64_t since;  // counts blocks given back
  };

  static c10::Allocator& small() { return *c10::GetDefaultCPUAllocator(); }

  void* take(size_t bytes) {
    const std::lock_guard lock(mutex_);
    const auto fit = free_.lower_bound(bytes);
    void* block = nullptr;
    size_t size = 0;
    if (fit != free_.end() && fit->first <= and_a_quarter(bytes)) {
      size = fit->first;
      block = fit->second.block;
      kept_ -= size;
      free_.erase(fit);
    } else {
      size = (bytes + kRounding - 1) / kRounding * kRounding;
      const auto allowed = and_a_quarter(std::max(most_in_use_, in_use_ + size));
      keep_at_most(allowed - in_use_ - size);
      block = from_system(size, bytes);
    }
    used_[block] = size;
    in_use_ += size;
    most_in_use_ = std::max(most_in_use_, in_use_);
    return block;
  }

  void* from_system(size_t size, size_t asked) {
    const auto map = [&] { return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); };
    void* block = map();
    if (block == MAP_FAILED) {
      keep_at_most(0);
      block = map();
    }
    TORCH_CHECK(block != MAP_FAILED, "can't allocate memory: you tried to allocate ", asked, " bytes");
    return block;
  }

  void give_back(void* block) {
    // Large blocks begin with a page.
    if (reinterpret_cast<uintptr_t>(block) % kPage == 0) {  // NOLINT(*-reinterpret-cast)
      const std::lock_guard lock(mutex_);
      const auto found = used_.find(block);
      if (found != used_.end()) {
        in_use_ -= found->second;
        kept_ += found->second;
        free_.emplace(found->second, Free{block, given_back_++});
        used_.erase(found);
        return;
      }
    }
    small().raw_deallocate(block);
  }

  // Those that nobody has wanted for longest go.
  void keep_at_most(size_t bytes) {
    while (kept_ > bytes) {
      auto oldest = free_.begin();
      for (auto it = free_.begin(); it != free_.end(); ++it) {
        if (it->second.since < oldest->second.since) oldest = it;
      }
      ::munmap(oldest->second.block, oldest->first);
      kept_ -= oldest->first;
      free_.erase(oldest);
    }
  }

  mutable std::mutex mutex_;
  std::unordered_map<void*, size_t> used_;  // bytes of each block in use
  std::multimap<size_t, Free> free_;        // by their bytes
  size_t in_use_ = 0, most_in_use_ = 0, kept_ = 0;
  uint64_t given_back_ = 0;
};

}  // namespace

c10::Allocator& kept_blocks() {
  static auto& blocks = *new KeptBlocks;  // tensors may outlive whatever ends with the program
  return blocks;
}

BlockBytes block_bytes() {
  return static_cast<KeptBlocks&>(kept_blocks()).bytes();
}

void keep_large_blocks() {
  c10::SetCPUAllocator(&kept_blocks(), /*priority=*/1);
}

}  // namespace sdg
