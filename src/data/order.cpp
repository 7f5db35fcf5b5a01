#include "sdg/data/order.h"

#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/permutation.h"

namespace sdg::data {
namespace {
constexpr int64_t kMostSorted = 65536;  // images
constexpr size_t kKeptEpochs = 4;       // the one in use, the next ones that loading threads look into
}  // namespace

OrderKind order_kind(int64_t images) {
  return images <= kMostSorted ? OrderKind::kSorted : OrderKind::kFeistel;
}

OrderKind parse_order_kind(const std::string& text, const std::string& where) {
  const auto kind = config::from_name<OrderKind>(text);
  SDG_CHECK(kind, where, ": expected an order of the data, sorted or feistel, got '", text, "'");
  return *kind;
}

EpochOrder::EpochOrder(uint64_t seed, int64_t size, OrderKind kind) : seed_(seed), size_(size), kind_(kind) {
  SDG_CHECK(size > 0, "data order: expected at least one image, got ", size);
}

EpochOrder::Table EpochOrder::of_epoch(int64_t epoch) {
  const std::lock_guard lock(mutex_);
  auto& table = epochs_[epoch];
  if (!table) {
    table = std::make_shared<const std::vector<int64_t>>(
        rng::permutation({seed_, rng::Purpose::kOrder, static_cast<uint64_t>(epoch)}, size_));
  }
  const Table result = table;
  if (epochs_.size() > kKeptEpochs) epochs_.erase(epochs_.begin()->first == epoch ? --epochs_.end() : epochs_.begin());
  return result;
}

int64_t EpochOrder::image_of(int64_t sample) {
  SDG_CHECK(sample >= 0, "data order: samples are counted from 0, got ", sample);
  const int64_t epoch = sample / size_, place = sample % size_;
  if (kind_ == OrderKind::kSorted) return (*of_epoch(epoch))[static_cast<size_t>(place)];
  return rng::Permutation({seed_, rng::Purpose::kOrder, static_cast<uint64_t>(epoch)}, size_)(place);
}

}  // namespace sdg::data
