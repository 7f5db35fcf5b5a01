#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace sdg::data {

/// How the order of an epoch is found. Values are part of the format: a run keeps the one it began with.
enum class OrderKind {
  kSorted,   ///< images sorted by a draw each: uniform among all orders; a table of N indices an epoch
  kFeistel,  ///< core/permutation.h: each place is computed alone, without a table
};
constexpr auto names_of(OrderKind) {
  return std::array{"sorted", "feistel"};
}

/// Sorted up to 65,536 images, where the table costs milliseconds and the order is what it always was; beyond, sorting
/// takes seconds at the turn of each epoch and gigabytes (docs/data.md has figures), and the shuffle that a run needs
/// is one that no batch shows, which a Feistel network gives.
OrderKind order_kind(int64_t images);
/// The kind of that name; throws Error, beginning with `where`, where there is none.
OrderKind parse_order_kind(const std::string& text, const std::string& where);

/// Which image the global sample counter s stands for: permutation(seed, epoch = s / size)[s % size]. Thread-safe;
/// keeps the tables of the epochs last asked for, where there are any.
class EpochOrder {
 public:
  /// `size` images, at least 1.
  EpochOrder(uint64_t seed, int64_t size, OrderKind kind);
  EpochOrder(uint64_t seed, int64_t size) : EpochOrder(seed, size, order_kind(size)) {}
  int64_t image_of(int64_t sample);

 private:
  using Table = std::shared_ptr<const std::vector<int64_t>>;
  Table of_epoch(int64_t epoch);

  uint64_t seed_;
  int64_t size_;
  OrderKind kind_;
  std::mutex mutex_;
  std::map<int64_t, Table> epochs_;
};

}  // namespace sdg::data
