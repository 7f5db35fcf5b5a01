#include "sdg/io/folder_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "sdg/core/error.h"
#include "support/temporary_folder.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

/// Another process that holds the folder until it is killed.
class Holder {
 public:
  explicit Holder(const std::filesystem::path& folder) {
    int ready[2];
    if (::pipe(ready) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
      const io::FolderLock lock(folder, "the other");
      const char byte = 1;
      if (::write(ready[1], &byte, 1) == 1)
        for (;;) ::pause();
      ::_exit(1);
    }
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Holder() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

}  // namespace

TEST(FolderLock, AnotherProcessIsNamedAndKeptOut) {
  const test::TemporaryFolder folder;
  const Holder other(folder.path());
  const auto message = test::message_of<Error>([&] { io::FolderLock(folder.path(), "this"); });
  EXPECT_THAT(message, HasSubstr(cat(folder.path().string(), ": in use by process ", other.pid(), " on ",
                                     io::host_name(), " (the other, since 2")));
  EXPECT_TRUE(std::filesystem::exists(io::FolderLock::file_of(folder.path())));  // a refusal takes nothing away
}

TEST(FolderLock, ASecondLockOfTheSameProcessIsKeptOutToo) {
  const test::TemporaryFolder folder;
  const io::FolderLock first(folder.path(), "first");
  EXPECT_TRUE(first.held());
  EXPECT_THAT(test::message_of<Error>([&] { io::FolderLock(folder.path(), "second"); }), HasSubstr("(first, since"));
}

TEST(FolderLock, AKilledHolderLeavesNoLock) {
  const test::TemporaryFolder folder;
  Holder other(folder.path());
  other.kill();
  EXPECT_TRUE(std::filesystem::exists(io::FolderLock::file_of(folder.path())));
  EXPECT_TRUE(io::FolderLock(folder.path(), "this").held());
  EXPECT_EQ(test::count_files(folder.path()), 0);
}

TEST(FolderLock, TakesAwayOnlyWhatItMadeAndNobodyUsed) {
  const test::TemporaryFolder folder;
  {
    const io::FolderLock lock(folder / "a" / "b" / "", "this");
  }
  EXPECT_EQ(test::count_files(folder.path()), 0);
  std::filesystem::create_directories(folder / "mine");
  {
    const io::FolderLock lock(folder / "mine", "this");
  }
  EXPECT_TRUE(std::filesystem::exists(folder / "mine"));
  {
    const io::FolderLock lock(folder / "used" / "deep", "this");
    test::write_text(folder / "used" / "x", "x");
  }
  EXPECT_TRUE(std::filesystem::exists(folder / "used" / "x"));
  EXPECT_FALSE(std::filesystem::exists(folder / "used" / "deep"));
}

TEST(FolderLock, OneOfManyGetsIt) {
  const test::TemporaryFolder folder;
  constexpr int kProcesses = 8, kRounds = 50;
  test::write_text(folder / "count", "");
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) {  // adds to a file by reading and writing it whole, which loses counts where two do it at once
      for (int round = 0; round < kRounds;) {
        try {
          const io::FolderLock lock(folder.path(), "child");
          test::write_text(folder / "count", test::read_text(folder / "count") + "x");
          ++round;
        } catch (const Error&) {
          ::usleep(100);
        }
      }
      ::_exit(0);
    }
    children.push_back(pid);
  }
  for (const auto pid : children) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(test::read_text(folder / "count").size(), size_t{kProcesses * kRounds});
}

TEST(FolderLock, AFolderWhereNothingCanBeWrittenIsNamed) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "file", "x");
  EXPECT_THAT(test::message_of<Error>([&] { io::FolderLock(folder / "file" / "run", "this"); }),
              HasSubstr("cannot make the folder"));
  EXPECT_THAT(test::message_of<Error>([&] { io::FolderLock("/proc/self", "this"); }), HasSubstr("cannot write there"));
}
