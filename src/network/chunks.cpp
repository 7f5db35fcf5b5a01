#include "network/chunks.h"

#include <algorithm>
#include <atomic>

#include "sdg/core/parallel.h"

namespace sdg::network {

void for_each_chunk(const std::vector<int64_t>& indices, int64_t size, const at::Device& device,
                    const Progress& progress,
                    const std::function<void(int64_t i, const std::vector<int64_t>& chunk)>& work) {
  const auto total = static_cast<int64_t>(indices.size()), chunks = chunk_count(indices, size);
  std::atomic<int64_t> done{0};
  const auto one = [&](int64_t i) {
    const auto begin = indices.begin() + i * size, end = indices.begin() + std::min(total, (i + 1) * size);
    work(i, {begin, end});
    done += end - begin;
  };
  // In rounds, so that progress is reported from this thread.
  const int64_t round = std::max<int64_t>(1, worker_pool().threads() * 4);
  for (int64_t start = 0; start < chunks; start += round) {
    const int64_t count = std::min(round, chunks - start);
    if (device.is_cpu()) {
      worker_pool().run(count, [&](int64_t i) { one(start + i); });
    } else {
      for (int64_t i = 0; i < count; ++i) one(start + i);
    }
    if (progress) progress(done, total);
  }
}

}  // namespace sdg::network
