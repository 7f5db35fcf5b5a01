#pragma once
#include <cstdint>
#include <functional>
#include <future>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::evaluate {

/// Reads images piece by piece until there are `total`, and hands each piece to `take` with how many there were with
/// it. With `ahead` the next piece is read on another thread meanwhile, one and no more. `read(done)` gives at least
/// one image. What it throws comes where its piece would have been taken.
inline void in_pieces(int64_t total, bool ahead, const std::function<std::vector<Tensor>(int64_t done)>& read,
                      const std::function<void(const std::vector<Tensor>& piece, int64_t done)>& take) {
  const auto policy = ahead ? std::launch::async : std::launch::deferred;
  auto next = std::async(policy, read, int64_t{0});
  for (int64_t done = 0; done < total;) {
    const auto piece = next.get();
    done += static_cast<int64_t>(piece.size());
    if (done < total) next = std::async(policy, read, done);
    take(piece, done);
  }
}

}  // namespace sdg::evaluate
