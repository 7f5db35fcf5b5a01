#include "sdg/ranks/launcher.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <thread>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"

extern char** environ;

namespace sdg::ranks {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// This process's, with what a rank is told.
std::vector<std::string> environment_of(const LaunchOptions& options, int64_t rank, int64_t port) {
  std::map<std::string, std::string> own{{"RANK", cat(rank)},
                                         {"LOCAL_RANK", cat(rank)},
                                         {"WORLD_SIZE", cat(options.ranks)},
                                         {"LOCAL_WORLD_SIZE", cat(options.ranks)},
                                         {"MASTER_ADDR", "127.0.0.1"},
                                         {"MASTER_PORT", cat(port)},
                                         {"TORCHELASTIC_USE_AGENT_STORE", "False"},
                                         {"TORCHELASTIC_RESTART_COUNT", cat(options.attempt)}};
  if (!std::getenv("OMP_NUM_THREADS")) {
    const auto share = std::max<int64_t>(1, available_cores() / options.ranks);
    own["OMP_NUM_THREADS"] = cat(options.threads > 0 ? options.threads : share);
  }
  std::vector<std::string> out;
  for (char** variable = environ; *variable; ++variable) {
    const std::string text = *variable;
    if (own.count(text.substr(0, text.find('='))) == 0) out.push_back(text);
  }
  for (const auto& [name, value] : own) out.push_back(name + "=" + value);
  return out;
}

class Processes {
 public:
  explicit Processes(const LaunchOptions& options) {
    const auto port = free_port();
    for (int64_t rank = 0; rank < options.ranks; ++rank) start(options, rank, port);
  }
  ~Processes() {
    signal_all(SIGKILL);
    for (auto& process : running_) {
      if (process > 0) ::waitpid(process, nullptr, 0);
    }
  }
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  void signal_all(int number) const {
    for (const auto process : running_) {
      if (process > 0) ::kill(process, number);
    }
  }

  /// How one of them that has ended since did so.
  std::optional<LaunchEnd> next_end() {
    for (size_t rank = 0; rank < running_.size(); ++rank) {
      int status = 0;
      if (running_[rank] <= 0 || ::waitpid(running_[rank], &status, WNOHANG) != running_[rank]) continue;
      running_[rank] = 0;
      const int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      return LaunchEnd{static_cast<int64_t>(rank), signal ? 128 + signal : WEXITSTATUS(status), signal};
    }
    return std::nullopt;
  }

  bool all_ended() const {
    return std::all_of(running_.begin(), running_.end(), [](pid_t process) { return process == 0; });
  }

 private:
  // Between fork and exec only calls that need no lock, which some other thread might hold.
  void start(const LaunchOptions& options, int64_t rank, int64_t port) {
    auto words = options.command;
    auto variables = environment_of(options, rank, port);
    const auto arguments = pointers_to(words), environment = pointers_to(variables);
    const auto parent = ::getpid();
    const pid_t process = ::fork();
    if (process == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);
      if (::getppid() != parent) ::_exit(127);
      ::execve(arguments[0], arguments.data(), environment.data());
      ::_exit(127);
    }
    SDG_CHECK(process > 0, "rank ", rank, " cannot be started: ", std::strerror(errno));
    running_.push_back(process);
  }

  std::vector<pid_t> running_;
};

}  // namespace

int64_t free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool found = socket >= 0 && ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int reason = errno;
  if (socket >= 0) ::close(socket);
  SDG_CHECK(found, "no free TCP port on 127.0.0.1: ", std::strerror(reason));
  return ntohs(address.sin_port);
}

LaunchEnd launch(const LaunchOptions& options) {
  SDG_CHECK(options.ranks >= 1 && !options.command.empty(), "launch: needs at least one rank and a command");
  Processes processes(options);
  std::optional<LaunchEnd> failure;
  Clock::time_point failed_at;
  int asked = 0, passed_on = 0;
  while (!processes.all_ended()) {
    const auto end = processes.next_end();
    if (end && end->code != 0 && !failure) {
      failure = end;
      failed_at = Clock::now();
    }
    if (end) continue;
    if (failure) {
      const auto waited = Clock::now() - failed_at;
      if (asked == 0 && waited > options.grace) processes.signal_all(asked = SIGTERM);
      if (asked == SIGTERM && waited > 2 * options.grace) processes.signal_all(asked = SIGKILL);
    }
    const int signal = options.signal ? options.signal() : 0;
    if (signal && !passed_on) processes.signal_all(passed_on = signal);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return failure.value_or(LaunchEnd{});
}

}  // namespace sdg::ranks
