#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace sdg::data {

/// Which image the global sample counter s stands for: permutation(seed, epoch = s / size)[s % size]. Thread-safe;
/// keeps the permutations of the epochs last asked for.
class EpochOrder {
 public:
  /// `size` images, at least 1.
  EpochOrder(uint64_t seed, int64_t size);
  int64_t image_of(int64_t sample);

 private:
  using Permutation = std::shared_ptr<const std::vector<int64_t>>;
  Permutation of_epoch(int64_t epoch);

  uint64_t seed_;
  int64_t size_;
  std::mutex mutex_;
  std::map<int64_t, Permutation> epochs_;
};

}  // namespace sdg::data
