#pragma once
// The program itself, run as a person runs it: exit code, standard output and standard error.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "support/temporary_folder.h"

namespace sdg::test {

struct Outcome {
  int code = -1;
  std::string out, err;
};

inline int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Runs `sdg <arguments>` in `folder`. `before` is shell text that goes first ("ulimit -f 8;").
inline Outcome run_program(const std::filesystem::path& folder, const std::string& arguments,
                           const std::string& before = "") {
  const TemporaryFolder streams;
  const auto out = streams / "out", err = streams / "err";
  const std::string command = "cd '" + folder.string() + "' && { " + before + " '" SDG_PROGRAM "' " + arguments +
                              "; } >'" + out.string() + "' 2>'" + err.string() + "'";
  const int status = std::system(command.c_str());
  return {exit_code(status), read_text(out), read_text(err)};
}

/// A started program whose standard error can be watched and which can be sent signals.
class RunningProgram {
 public:
  RunningProgram(const std::filesystem::path& folder, const std::string& arguments) {
    const std::string command = "cd '" + folder.string() + "' && exec '" SDG_PROGRAM "' " + arguments + " >'" +
                                (streams_ / "out").string() + "' 2>'" + (streams_ / "err").string() + "'";
    pid_ = ::fork();
    if (pid_ == 0) {
      std::signal(SIGHUP, SIG_DFL);  // whatever this test was started under
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
  }
  ~RunningProgram() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  std::string err() const { return read_text(streams_ / "err"); }
  /// Waits until standard error holds `text`; false after `seconds`.
  bool says(const std::string& text, int seconds) const {
    for (int i = 0; i < seconds * 200; ++i) {
      if (err().find(text) != std::string::npos) return true;
      ::usleep(5000);
    }
    return false;
  }
  void send(int signal) const { ::kill(pid_, signal); }
  Outcome wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return {exit_code(status), read_text(streams_ / "out"), err()};
  }

 private:
  TemporaryFolder streams_;
  pid_t pid_ = -1;
};

}  // namespace sdg::test
