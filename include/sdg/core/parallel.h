#pragma once
#include <cstdint>
#include <functional>
#include <memory>

namespace sdg {

/// Workers that each compute alone (one kernel thread apiece), so that small operations need no barrier among threads.
/// Eager CPU kernels of small networks spend much of a two-thread step in those barriers.
class WorkerPool {
 public:
  /// `threads` workers, at least 1. With 1, work runs on the calling thread.
  explicit WorkerPool(int threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// Calls work(i) for every i in [0, count); returns when all are done. The first exception thrown by any is rethrown.
  /// Grad mode and inference mode of the caller hold in the workers too. From within one of its own workers the calls
  /// are made one after the other on that worker; otherwise one caller at a time.
  void run(int64_t count, const std::function<void(int64_t)>& work);
  int threads() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Cores this process may use.
int available_cores();

/// The process's pool, made on first use with available_cores() workers (or OMP_NUM_THREADS of them, where set).
WorkerPool& worker_pool();

}  // namespace sdg
