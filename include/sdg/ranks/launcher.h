#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sdg/ranks/ranks.h"

namespace sdg::ranks {

struct LaunchOptions {
  int64_t ranks = 1;
  std::vector<std::string> command;  ///< a program and its arguments, the same for all
  int64_t attempt = 0;               ///< how often they were started before
  int64_t threads = 0;               ///< OMP_NUM_THREADS of each, where it is not set; 0: the cores' share
  /// How long the others may take to end by themselves once one has failed; then SIGTERM, and SIGKILL after as long.
  std::chrono::milliseconds grace = kGrace;
  std::function<int()> signal{};  ///< a signal to pass on to all, or 0; asked again and again
};

/// How the first rank that failed ended, or rank 0 where none did.
struct LaunchEnd {
  int64_t rank = 0;
  int code = 0;    ///< exit code, or 128 + number of the signal that ended it
  int signal = 0;  ///< that number, or 0
};

/// Starts the processes on this machine with torchrun's variables (a free port on 127.0.0.1) and waits until all have
/// ended. They end with this process. Throws Error where one cannot be started.
LaunchEnd launch(const LaunchOptions& options);

/// A TCP port of this machine that nobody listens on.
int64_t free_port();

}  // namespace sdg::ranks
