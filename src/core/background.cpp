#include "sdg/core/background.h"

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace sdg {

struct BackgroundWork::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> waiting;
  size_t most = 0, under_way = 0;
  bool ends = false;
  std::exception_ptr error;
  std::vector<std::thread> threads;

  void work() {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return ends || !waiting.empty(); });
      if (waiting.empty()) return;
      const auto piece = std::move(waiting.front());
      waiting.pop_front();
      ++under_way;
      lock.unlock();
      std::exception_ptr failed;
      try {
        piece();
      } catch (...) {
        failed = std::current_exception();
      }
      lock.lock();
      --under_way;
      if (failed && !error) error = failed;
      if (error) waiting.clear();
      changed.notify_all();
    }
  }

  void rethrow() const {
    if (error) std::rethrow_exception(error);
  }
};

BackgroundWork::BackgroundWork(int threads, size_t most_waiting) : state_(std::make_unique<State>()) {
  state_->most = most_waiting;
  for (int i = 0; i < threads; ++i) state_->threads.emplace_back([state = state_.get()] { state->work(); });
}

BackgroundWork::~BackgroundWork() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ends = true;
    state_->waiting.clear();
  }
  state_->changed.notify_all();
  for (auto& thread : state_->threads) thread.join();
}

void BackgroundWork::add(std::function<void()> piece) {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->waiting.size() < state_->most; });
  state_->rethrow();
  state_->waiting.push_back(std::move(piece));
  state_->changed.notify_all();
}

void BackgroundWork::finish() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->waiting.empty() && state_->under_way == 0; });
  state_->rethrow();
}

}  // namespace sdg
