#include "sdg/core/parallel.h"

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace sdg {

struct WorkerPool::State {
  std::mutex callers;  // held by the one caller whose work is done
  std::mutex mutex;
  std::condition_variable work_ready, work_done;
  std::vector<std::thread> threads;
  const std::function<void(int64_t)>* work = nullptr;
  at::ThreadLocalState caller;  // grad mode, inference mode and the like, as the caller had them
  int64_t count = 0;
  std::atomic<int64_t> next{0};
  int active = 0;
  uint64_t generation = 0;
  bool stop = false;
  std::exception_ptr failure;

  bool is_worker() const {
    return std::any_of(threads.begin(), threads.end(),
                       [](const auto& thread) { return thread.get_id() == std::this_thread::get_id(); });
  }

  void drain() {
    for (int64_t i = next++; i < count; i = next++) {
      try {
        (*work)(i);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = count;
      }
    }
  }

  void serve() {
    at::set_num_threads(1);
    uint64_t seen = 0;
    std::unique_lock lock(mutex);
    while (true) {
      work_ready.wait(lock, [&] { return stop || generation != seen; });
      if (stop) return;
      seen = generation;
      const at::ThreadLocalState thread_state = caller;
      lock.unlock();
      {
        const at::ThreadLocalStateGuard guard(thread_state);
        drain();
      }
      lock.lock();
      if (--active == 0) work_done.notify_one();
    }
  }
};

WorkerPool::WorkerPool(int threads) : state_(std::make_unique<State>()) {
  if (threads <= 1) return;
  for (int i = 0; i < threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->serve(); });
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->work_ready.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

int WorkerPool::threads() const {
  return std::max<int>(1, static_cast<int>(state_->threads.size()));
}

void WorkerPool::run(int64_t count, const std::function<void(int64_t)>& work) {
  State& state = *state_;
  if (state.threads.empty() || state.is_worker()) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  const std::lock_guard one_at_a_time(state.callers);
  std::unique_lock lock(state.mutex);
  state.work = &work;
  state.caller = at::ThreadLocalState();
  state.count = count;
  state.next = 0;
  state.active = static_cast<int>(state.threads.size());
  state.failure = nullptr;
  ++state.generation;
  state.work_ready.notify_all();
  state.work_done.wait(lock, [&] { return state.active == 0; });
  if (state.failure) std::rethrow_exception(state.failure);
}

int available_cores() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

WorkerPool& worker_pool() {
  static WorkerPool pool([] {
    const char* asked = std::getenv("OMP_NUM_THREADS");
    int threads = 0;  // "4,2" is 4 here: OpenMP's list is one number for each depth of nesting
    if (asked) std::from_chars(asked, asked + std::strlen(asked), threads);
    return threads > 0 ? threads : available_cores();
  }());
  return pool;
}

}  // namespace sdg
