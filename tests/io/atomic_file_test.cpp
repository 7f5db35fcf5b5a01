#include "sdg/io/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <iostream>

#include "sdg/core/error.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::count_files;
using test::message_of;
using test::read_text;
using test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(AtomicFile, ReplacesTheOldContentAndLeavesNothingBeside) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.txt", "old");
  const std::string large(300'000, 'x');  // several buffers
  io::write_atomically(folder / "a.txt", [&](std::ostream& out) { out << "new " << 7 << large << '\n'; });
  EXPECT_EQ(read_text(folder / "a.txt"), "new 7" + large + "\n");
  EXPECT_EQ(count_files(folder.path()), 1);
}

TEST(AtomicFile, TheOldContentStandsUntilTheWriterIsDone) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.txt", "old");
  io::write_atomically(folder / "a.txt", [&](std::ostream& out) {
    out << "new" << std::flush;
    EXPECT_EQ(read_text(folder / "a.txt"), "old");
  });
  EXPECT_EQ(read_text(folder / "a.txt"), "new");
}

TEST(AtomicFile, AWriterThatThrowsLeavesTheOldContent) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.txt", "old");
  const auto write = [&] {
    io::write_atomically(folder / "a.txt", [](std::ostream& out) {
      out << "half";
      throw Error("stopped");
    });
  };
  EXPECT_EQ(message_of<Error>(write), "stopped");
  EXPECT_EQ(read_text(folder / "a.txt"), "old");
  EXPECT_EQ(count_files(folder.path()), 1);
}

TEST(AtomicFile, KeepsPermissionsAndFollowsLinks) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.txt", "old");
  ::chmod((folder / "a.txt").c_str(), 0640);
  std::filesystem::create_symlink("a.txt", folder / "link.txt");
  io::write_atomically(folder / "link.txt", [](std::ostream& out) { out << "new"; });
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link.txt"));
  EXPECT_EQ(read_text(folder / "a.txt"), "new");
  struct stat status{};
  ASSERT_EQ(::stat((folder / "a.txt").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
}

TEST(AtomicFile, AMissingFolderIsNamed) {
  const TemporaryFolder folder;
  const auto write = [&] { io::write_atomically(folder / "none" / "a.txt", [](std::ostream& out) { out << "x"; }); };
  EXPECT_EQ(message_of<Error>(write),
            (folder / "none" / "a.txt").string() + ": cannot write: No such file or directory");
}

TEST(AtomicFile, AFullDeviceIsAnErrorThatNamesThePath) {
  if (!std::filesystem::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const auto write = [] { io::write_atomically("/dev/full", [](std::ostream& out) { out << "x"; }); };
  EXPECT_EQ(message_of<Error>(write), "/dev/full: cannot write: No space left on device");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full")) << "a device must never be replaced";
}

// A size limit stands in for a full disk: the write fails half-way (EFBIG), after the file beside has grown.
TEST(AtomicFile, AWriteThatFailsHalfWayLeavesTheOldFileAndNothingBeside) {
  const TemporaryFolder folder;
  test::write_text(folder / "a.bin", "old");
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{200'000, 200'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string block(50'000, 'x');
    int blocks = 0;
    const auto message = message_of<Error>([&] {
      io::write_atomically(folder / "a.bin", [&](std::ostream& out) {
        for (; blocks < 1000; ++blocks) out << block;
      });
    });
    const bool told = message == (folder / "a.bin").string() + ": cannot write: File too large";
    ::_exit(told && blocks < 10 ? 0 : 1);  // < 10: it stopped at the first failure
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  EXPECT_EQ(read_text(folder / "a.bin"), "old");
  EXPECT_EQ(count_files(folder.path()), 1);
}

TEST(AtomicFile, TheStreamCanGoBack) {
  const TemporaryFolder folder;
  io::write_atomically(folder / "a.txt", [](std::ostream& out) {
    out << "abc" << std::string(100'000, 'x');
    out.seekp(1) << "Z";
  });
  EXPECT_EQ(read_text(folder / "a.txt"), "aZc" + std::string(100'000, 'x'));
}

TEST(AtomicFile, NamesOfFilesBesideAreUniqueAndKnown) {
  const TemporaryFolder folder;
  const auto beside = [&](const std::string& target) {
    std::string name;
    io::write_atomically(folder / target, [&](std::ostream&) {
      for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
        if (entry.path().filename().string().front() == '.') name = entry.path().filename().string();
    });
    return name;
  };
  const auto first = beside("last.safetensors"), second = beside("last.safetensors");
  EXPECT_NE(first, second);
  EXPECT_EQ(io::target_of_temporary(first), "last.safetensors");
  const std::string longest(255, 'n');  // names end there
  EXPECT_EQ(beside(longest).size(), 255U);
  EXPECT_EQ(io::target_of_temporary(".a.png.tmp.4711"), "a.png");  // of earlier versions
  for (const auto* other : {"", ".", "a.png", ".a.png", ".a.png.tmp", ".a.png.tmp.", "a.png.tmp.4711"})
    EXPECT_EQ(io::target_of_temporary(other), "") << other;
}

TEST(AtomicFile, ALinkIsTheSameFileAndACopyIsNot) {
  const TemporaryFolder folder;
  const std::string content(3'000'000, 'x');
  test::write_text(folder / "a", content);
  for (int again = 0; again < 2; ++again) {  // the second time both names are one file already
    io::link_atomically(folder / "a", folder / "link");
    EXPECT_TRUE(std::filesystem::equivalent(folder / "a", folder / "link"));
    EXPECT_EQ(count_files(folder.path()), 2);
  }
  io::copy_atomically(folder / "a", folder / "link");
  EXPECT_FALSE(std::filesystem::equivalent(folder / "a", folder / "link"));
  EXPECT_EQ(read_text(folder / "link"), content);
  EXPECT_EQ(count_files(folder.path()), 2);
  EXPECT_THAT(message_of<Error>([&] { io::link_atomically(folder / "a", folder / "none" / "b"); }),
              HasSubstr("none/b: cannot write: No such file"));
}
