#include "sdg/data/order.h"

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::data {
namespace {
constexpr size_t kKeptEpochs = 4;  // the one in use, the next ones that loading threads look into
}

EpochOrder::EpochOrder(uint64_t seed, int64_t size) : seed_(seed), size_(size) {
  SDG_CHECK(size > 0, "data order: expected at least one image, got ", size);
}

EpochOrder::Permutation EpochOrder::of_epoch(int64_t epoch) {
  const std::lock_guard lock(mutex_);
  auto& permutation = epochs_[epoch];
  if (!permutation) {
    permutation = std::make_shared<const std::vector<int64_t>>(
        rng::permutation({seed_, rng::Purpose::kOrder, static_cast<uint64_t>(epoch)}, size_));
  }
  const Permutation result = permutation;
  if (epochs_.size() > kKeptEpochs) epochs_.erase(epochs_.begin()->first == epoch ? --epochs_.end() : epochs_.begin());
  return result;
}

int64_t EpochOrder::image_of(int64_t sample) {
  SDG_CHECK(sample >= 0, "data order: samples are counted from 0, got ", sample);
  return (*of_epoch(sample / size_))[static_cast<size_t>(sample % size_)];
}

}  // namespace sdg::data
