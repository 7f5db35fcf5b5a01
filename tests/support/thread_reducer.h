#pragma once
// Ranks as threads of one process, for tests: what several processes would do, without them.
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/reducer.h"

namespace sdg::test {

/// Where the threads meet: each call of a Reducer is one meeting, to which every rank brings a tensor.
class MeetingPlace {
 public:
  explicit MeetingPlace(int64_t ranks) : ranks_(ranks), brought_(static_cast<size_t>(ranks)) {}

  /// The tensors of all ranks in their order, once all have come. Throws Error where a rank failed, has gone, or came
  /// to another call.
  std::vector<Tensor> meet(int64_t rank, const std::string& call, const Tensor& tensor) {
    std::unique_lock lock(mutex_);
    check(lock);
    if (arrived_ == 0) {
      call_ = call;
    } else if (call_ != call) {
      wrong_ = cat("rank ", rank, " came to ", call, " while others are at ", call_);
      changed_.notify_all();
    }
    check(lock);
    brought_[static_cast<size_t>(rank)] = tensor.detach().clone();  // its owner may overwrite it while others read
    synchronize(tensor.device());                                   // whose streams are others
    const auto generation = generation_;
    if (++arrived_ == ranks_) {
      met_ = std::make_shared<std::vector<Tensor>>(brought_);
      arrived_ = 0;
      ++generation_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return generation != generation_ || !wrong_.empty(); });
      if (generation == generation_) check(lock);
    }
    return *met_;
  }

  /// Nobody waits for this rank any more.
  void leave(const std::string& why) {
    const std::lock_guard lock(mutex_);
    if (wrong_.empty()) wrong_ = why;
    changed_.notify_all();
  }

 private:
  void check(const std::unique_lock<std::mutex>&) const {
    if (!wrong_.empty()) throw Error(cat("reducer: ", wrong_));
  }

  const int64_t ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Tensor> brought_;
  std::shared_ptr<std::vector<Tensor>> met_;  // of the last meeting: the next cannot end before all have left it
  std::string call_, wrong_;
  int64_t arrived_ = 0, generation_ = 0;
};

class ThreadReducer : public Reducer {
 public:
  ThreadReducer(int64_t rank, int64_t ranks, MeetingPlace& place) : Reducer(rank, ranks), place_(place) {}

  int64_t calls = 0;

 private:
  static std::string told(const char* call, const Tensor& tensor, int64_t first_dimension) {
    return cat(call, " of ", tensor.scalar_type(), " ", to_string(tensor.sizes().slice(first_dimension)));
  }
  void reduce_into(Tensor& values, Op op) override {
    ++calls;
    const auto all = place_.meet(rank(), told(op == Op::kSum ? "a sum" : "a maximum", values, 0), values);
    auto out = all[0].clone();
    for (size_t i = 1; i < all.size(); ++i) out = op == Op::kSum ? out + all[i] : at::maximum(out, all[i]);
    values.copy_(out);
  }
  Tensor gathered(const Tensor& rows, const std::vector<int64_t>& counts) override {
    ++calls;
    const auto all = place_.meet(rank(), told("a gathering", rows, 1), rows);
    for (size_t i = 0; i < counts.size(); ++i) {
      if (all[i].size(0) != counts[i])
        throw Error(cat("reducer: rank ", i, " has ", all[i].size(0), " rows, told ", counts[i]));
    }
    return at::cat(all);
  }
  Tensor gathered_alike(const Tensor& own) override {
    ++calls;
    return at::stack(place_.meet(rank(), told("a gathering", own, 0), own));
  }
  Tensor exchanged(const Tensor& values, const std::vector<int64_t>& to, const std::vector<int64_t>& from) override {
    ++calls;
    const auto all = place_.meet(rank(), "an exchange", values);
    const auto sizes = place_.meet(rank(), "an exchange's sizes", at::tensor(to, at::kLong));
    std::vector<Tensor> got;
    for (size_t i = 0; i < all.size(); ++i) {
      const auto size = sizes[i][rank()].item<int64_t>();
      if (size != from[i]) throw Error(cat("reducer: rank ", i, " sends ", size, " numbers, expected ", from[i]));
      got.push_back(all[i].narrow(0, sizes[i].narrow(0, 0, rank()).sum().item<int64_t>(), size));
    }
    return at::cat(got);
  }
  void broadcast_into(Tensor& values, int64_t root) override {
    ++calls;
    values.copy_(place_.meet(rank(), told("a broadcast", values, 0), values)[static_cast<size_t>(root)]);
  }

  MeetingPlace& place_;
};

/// Ranks of one process share its workers, and would wait for each other there: so everything runs on its own thread.
inline const bool kNoSharedWorkers = ::setenv("OMP_NUM_THREADS", "1", 1) == 0;

/// Calls work(reducer) once for every rank, each on a thread of its own; with one rank on Reducer::local(). The first
/// error is rethrown: a rank's own before what others report of it.
inline void on_ranks(int64_t ranks, const std::function<void(Reducer&)>& work) {
  if (ranks == 1) return work(Reducer::local());
  MeetingPlace place(ranks);
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadReducer reducer(rank, ranks, place);
      std::string why = cat("rank ", rank, " has ended");
      try {
        work(reducer);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!first) first = std::current_exception();
        why = cat("rank ", rank, " has failed");
      }
      place.leave(why);
    });
  }
  for (auto& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

/// Ways to divide `count` rows: over 1 to 4 ranks, evenly, unevenly, and with empty shares.
inline std::vector<std::vector<int64_t>> divisions(int64_t count) {
  const auto third = count / 3;
  return {{count},
          {count - count / 2, count / 2},
          {1, count - 1},
          {0, count},
          {third, third, count - 2 * third},
          {count - third - 1, 0, third + 1},
          {2, third, 1, count - third - 3},
          {0, third, 0, count - third}};
}

/// A rank's rows of `all` under one of these.
inline Tensor share(const Tensor& all, const std::vector<int64_t>& division, const Reducer& reducer) {
  int64_t begin = 0;
  for (int64_t rank = 0; rank < reducer.rank(); ++rank) begin += division[static_cast<size_t>(rank)];
  return all.narrow(0, begin, division[static_cast<size_t>(reducer.rank())]);
}

/// work(reducer, name) on the ranks of every division of `count` rows.
inline void on_divisions(int64_t count,
                         const std::function<void(Reducer&, const std::vector<int64_t>& division)>& work) {
  for (const auto& division : divisions(count))
    on_ranks(static_cast<int64_t>(division.size()), [&](Reducer& reducer) { work(reducer, division); });
}

}  // namespace sdg::test
