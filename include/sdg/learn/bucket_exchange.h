#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace c10 {
struct Event;
}

namespace sdg::learn {

/// Adds a flat gradient up over the ranks while a backward pass still fills it. Such a pass comes to the last layers
/// first, so buckets go from the end on, each as soon as all of it is there, by a thread of its own and on a GPU on a
/// stream of its own: each rank adds one piece of a bucket, in the order of the ranks, and hands the sum to all. What
/// is sent and added does not hang on when it is, so neither do the bits.
class BucketExchange {
 public:
  /// `gradient` [P], contiguous, becomes the sum. `bucket`: numbers that go together; 0: 16 MB on a GPU, 4 MB else.
  /// While this lives, nobody else may call the reducer. Both must outlive this.
  BucketExchange(Tensor gradient, Reducer& reducer, int64_t bucket = 0);
  /// Ends what was begun.
  ~BucketExchange();
  BucketExchange(const BucketExchange&) = delete;
  BucketExchange& operator=(const BucketExchange&) = delete;

  /// From number `first` on all is there, or queued on the current stream: what is whole begins to go.
  void filled(int64_t first);
  /// All is there. Returns when the gradient is the sum, on a GPU for whatever is queued from here on. All ranks
  /// together. Throws RankError where one was lost.
  void finish();

 private:
  struct OwnStream;
  void go_on();
  void exchange_filled();
  void exchange(RowRange bucket);
  void end();

  Tensor gradient_;
  Reducer& reducer_;
  int64_t bucket_;
  int64_t open_;  // where the last bucket that went begins

  std::thread courier_;
  std::exception_ptr failure_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t filled_;                        // from there on all is there
  bool broken_off_ = false;               // the courier takes no more
  std::shared_ptr<c10::Event> when_;      // on a GPU: when what filled() spoke of is there
  std::shared_ptr<c10::Event> all_done_;  // on a GPU: when the last bucket is
};

}  // namespace sdg::learn
