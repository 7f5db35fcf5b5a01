#pragma once
#include <cstddef>
#include <functional>
#include <memory>

namespace sdg {

/// Threads that do what they are given beside the caller, which goes on computing: compressing and writing files. At
/// most `most_waiting` pieces wait; add() blocks beyond that, so that memory stays bounded.
class BackgroundWork {
 public:
  BackgroundWork(int threads, size_t most_waiting);
  /// Waits for what was begun; what still waits is dropped. Errors are lost: call finish() to see them.
  ~BackgroundWork();
  BackgroundWork(const BackgroundWork&) = delete;
  BackgroundWork& operator=(const BackgroundWork&) = delete;

  /// Rethrows the first exception of earlier pieces.
  void add(std::function<void()> piece);
  /// Waits until all is done; rethrows the first exception.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sdg
