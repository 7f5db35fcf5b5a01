#include "sdg/train/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "sdg/core/error.h"
#include "train/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

namespace {

io::TensorFile file_of(int64_t step, int64_t size = 10) {
  io::TensorFile file;
  file.tensors["x"] = at::full({size}, step);
  return file;
}

int64_t step_of(const std::filesystem::path& path) {
  return io::read_tensors(path).at("x")[0].item<int64_t>();
}

std::vector<std::string> names(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) out.push_back(entry.path().filename().string());
  return out;
}

}  // namespace

TEST(RunFolder, KeepsTheNewestNumberedTheLastAndTheBest) {
  const test::TemporaryFolder folder;
  const train::RunFolder run(folder / "run");
  run.create();
  EXPECT_FALSE(run.has_checkpoint());
  for (const int64_t step : {9, 20, 100, 3000, 40000}) run.save(file_of(step), step, step <= 20, 2);
  EXPECT_THAT(names(run.checkpoints()), UnorderedElementsAre("last.safetensors", "best.safetensors",
                                                             "step-00003000.safetensors", "step-00040000.safetensors"));
  EXPECT_EQ(step_of(run.last()), 40000);
  EXPECT_EQ(step_of(run.best()), 20);
  EXPECT_EQ(step_of(run.checkpoints() / "step-00003000.safetensors"), 3000);
}

TEST(RunFolder, KeepZeroLeavesTheLastReadable) {
  const test::TemporaryFolder folder;
  const train::RunFolder run(folder / "run");
  run.create();
  for (const int64_t step : {1, 2}) run.save(file_of(step), step, false, 0);
  EXPECT_THAT(names(run.checkpoints()), UnorderedElementsAre("last.safetensors"));
  EXPECT_EQ(step_of(run.last()), 2);
}

TEST(RunFolder, ASaveThatFailsLeavesTheEarlierCheckpoint) {
  const test::TemporaryFolder folder;
  const train::RunFolder run(folder / "run");
  run.create();
  run.save(file_of(1, 100000), 1, true, 2);
  const auto bytes = test::read_text(run.last());
  const pid_t child = ::fork();
  if (child == 0) {  // files may not grow past 64 KiB here, as if the disk were full
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 16, 1 << 16};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto message = test::message_of<Error>([&] { run.save(file_of(2, 100000), 2, true, 2); });
    ::_exit(message.find("step-00000002.safetensors: cannot write") != std::string::npos ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(test::read_text(run.last()), bytes);
  EXPECT_EQ(test::read_text(run.best()), bytes);
  EXPECT_THAT(names(run.checkpoints()),
              UnorderedElementsAre("last.safetensors", "best.safetensors", "step-00000001.safetensors"));
}

TEST(RunFolder, CannotStandWhereAFileIs) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "file", "x");
  EXPECT_THAT(test::message_of<Error>([&] { train::RunFolder(folder / "file").create(); }),
              HasSubstr("cannot make the folder"));
}

TEST(FindCheckpoint, SaysWhereItLooked) {
  const test::TemporaryFolder folder;
  const auto run = folder / "run", file = folder / "no.safetensors";
  EXPECT_THAT(test::message_of<UsageError>([&] { train::find_checkpoint(run.string(), ""); }),
              HasSubstr("last.safetensors"));
  EXPECT_THAT(test::message_of<UsageError>([&] { train::find_checkpoint("", file.string()); }),
              HasSubstr(file.string() + ": no such checkpoint"));
  const train::RunFolder made(run);
  made.create();
  made.save(file_of(1), 1, false, 1);
  EXPECT_EQ(train::find_checkpoint(run.string(), ""), made.last());
  EXPECT_EQ(train::find_checkpoint("", made.last().string()), made.last());
}
