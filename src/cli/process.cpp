#include "cli/process.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <iostream>
#include <string>

#include "cli/log_file.h"
#include "sdg/core/error.h"
#include "sdg/core/kept_blocks.h"
#include "sdg/io/signal_safe.h"

namespace sdg::cli {
namespace {

constexpr int kEnding[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
constexpr int64_t kSameSignalMs = 500;  // two signals within it are one wish that came over two ways

std::atomic<bool> g_saves{false};
std::atomic<int> g_signal{0};
std::atomic<int64_t> g_signal_at{0};

int64_t milliseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

[[noreturn]] void end_now(int number) {
  io::remove_unfinished_files();
  ::_exit(128 + number);
}

extern "C" void on_ending_signal(int number) {
  const int error = errno;
  if (!g_saves) end_now(number);
  int none = 0;
  if (g_signal.compare_exchange_strong(none, number)) {
    g_signal_at = milliseconds_now();
  } else if (number == SIGINT && milliseconds_now() - g_signal_at > kSameSignalMs) {
    end_now(number);
  }
  errno = error;
}

// Synchronous: the thread stands in a read of mapped memory and holds no lock, so the log file can be written.
extern "C" void on_bus_error(int number, siginfo_t* info, void*) {
  const auto file = io::mapped_file_at(info->si_addr);
  if (!file.path) {  // none of ours: the access is made again and ends the program as it would have
    std::signal(number, SIG_DFL);
    return;
  }
  io::remove_unfinished_files();
  const std::string line =
      std::string(file.path) +
      (file.shortened() ? ": was shortened while it was in use; put the whole file back and run the same command again"
                        : ": could not be read while it was in use (a fault of the disk, or a file written over)");
  const std::string shown = (isatty(STDERR_FILENO) != 0 ? "\nsdg: " : "sdg: ") + line + "\n";
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, shown.data(), shown.size());
  write_log_file(3, line);
  ::_exit(1);
}

void open_closed_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1 || errno != EBADF) continue;
    // Results that go to a closed output are an error, so that one cannot be written; messages are not.
    const int mode = descriptor == STDERR_FILENO ? O_WRONLY : O_RDONLY;
    if (::open("/dev/null", mode) != descriptor) ::_exit(1);  // the lowest free number, by POSIX
  }
}

bool reader_is_gone() {
  pollfd output{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLHUP)) != 0;
}

// A training step frees and asks for the same blocks again and again. What goes back to the system in between costs a
// fault for every page: a twentieth of a step of a small network. These are the bounds at which glibc itself arrives
// once a block of 32 MiB has been freed.
void keep_freed_memory() {
#if defined(M_TRIM_THRESHOLD)
  constexpr int kMebi = 1 << 20;
  ::mallopt(M_MMAP_THRESHOLD, 32 * kMebi);
  ::mallopt(M_TRIM_THRESHOLD, 64 * kMebi);
#endif
}

}  // namespace

void prepare_process() {
  open_closed_streams();
  keep_freed_memory();
#if !defined(__SANITIZE_ADDRESS__)  // which watches blocks of its own allocator
  keep_large_blocks();
#endif
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  struct sigaction ending{}, hangup{}, bus{};
  ending.sa_handler = on_ending_signal;
  ending.sa_flags = SA_RESTART;
  for (const int number : kEnding) sigaddset(&ending.sa_mask, number);
  sigaction(SIGHUP, nullptr, &hangup);
  for (const int number : kEnding) {
    if (number != SIGHUP || hangup.sa_handler != SIG_IGN) sigaction(number, &ending, nullptr);
  }
  bus.sa_sigaction = on_bus_error;
  bus.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &bus, nullptr);
}

void catch_signals() {
  g_saves = true;
}

int caught_signal() {
  return g_signal;
}

const char* signal_name(int number) {
  switch (number) {
    case SIGINT:
      return "Ctrl-C";
    case SIGHUP:
      return "SIGHUP";
    case SIGTERM:
      return "SIGTERM";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGUSR2:
      return "SIGUSR2";
    case SIGXCPU:
      return "SIGXCPU";
    default:
      return "a signal";
  }
}

int finish_output(int code) {
  std::cout.flush();
  const bool failed = std::fflush(stdout) != 0;
  const int reason = errno;
  if (!failed && std::ferror(stdout) == 0) return code;
  if (reader_is_gone()) return code == 0 ? 128 + SIGPIPE : code;
  std::fprintf(stderr, "sdg: standard output: cannot write%s\n",
               failed ? cat(": ", std::strerror(reason)).c_str() : " all of it: is the disk full?");
  return code == 0 ? 1 : code;
}

}  // namespace sdg::cli
