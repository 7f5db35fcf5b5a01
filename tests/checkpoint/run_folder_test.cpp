#include "sdg/checkpoint/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "sdg/core/error.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

namespace {

tensors::TensorFile file_of(int64_t step, int64_t size = 10) {
  tensors::TensorFile file;
  file.tensors["x"] = at::full({size}, step);
  return file;
}

int64_t step_of(const std::filesystem::path& path) {
  return tensors::read_tensors(path).at("x")[0].item<int64_t>();
}

std::vector<std::string> names(const std::filesystem::path& folder) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) out.push_back(entry.path().filename().string());
  return out;
}

}  // namespace

TEST(RunFolder, KeepsTheNewestNumberedTheLastAndTheLowest) {
  const test::TemporaryFolder folder;
  const checkpoint::RunFolder run(folder / "run");
  run.create();
  EXPECT_FALSE(run.has_checkpoint());
  for (const int64_t step : {9, 20, 100, 3000, 40000}) run.save(file_of(step), step, step <= 20, 2);
  EXPECT_THAT(names(run.checkpoints()), UnorderedElementsAre("last.safetensors", "lowest_fd.safetensors",
                                                             "step-00003000.safetensors", "step-00040000.safetensors"));
  EXPECT_EQ(step_of(run.last()), 40000);
  EXPECT_EQ(step_of(run.lowest_fd()), 20);
  EXPECT_EQ(step_of(run.checkpoints() / "step-00003000.safetensors"), 3000);
}

TEST(RunFolder, WhateverIsKeptOneDamagedFileIsNotTheWholeRun) {
  const test::TemporaryFolder folder;
  for (const int64_t keep : {0, 1, 2}) {
    const checkpoint::RunFolder run(folder / std::to_string(keep));
    run.create();
    run.save(file_of(1), 1, true, keep);
    EXPECT_FALSE(std::filesystem::equivalent(run.last(), run.checkpoints() / "step-00000001.safetensors")) << "a copy";
    run.save(file_of(2), 2, false, keep);
    EXPECT_TRUE(std::filesystem::equivalent(run.last(), run.checkpoints() / "step-00000002.safetensors"));
    run.save(file_of(3), 3, true, keep);
    EXPECT_THAT(names(run.checkpoints()),
                UnorderedElementsAre("last.safetensors", "lowest_fd.safetensors", "step-00000002.safetensors",
                                     "step-00000003.safetensors"));
    EXPECT_EQ(step_of(run.last()), 3);
  }
}

TEST(RunFolder, OnlyFilesOfItsOwnNamesAreRemoved) {
  const test::TemporaryFolder folder;
  const checkpoint::RunFolder run(folder / "run");
  run.create();
  const std::vector<std::string> others{"step-00000001-my-favourite.safetensors",
                                        "step-1.safetensors",
                                        "step-000000001.safetensors",
                                        "step-0000001x.safetensors",
                                        "step--0000001.safetensors",
                                        "step-00000001.safetensors.damaged",
                                        "step-00000001.SAFETENSORS",
                                        "step-.safetensors",
                                        "my.safetensors",
                                        ".my.safetensors.tmp.4711",
                                        "step-00000040.safetensors"};  // of a later step: somebody put it there
  for (const auto& name : others) tensors::write_tensors(run.checkpoints() / name, file_of(0));
  for (const int64_t step : {5, 6, 7, 8}) run.save(file_of(step), step, false, 2);
  run.remove_temporaries();
  auto expected = others;
  for (const auto* name : {"last.safetensors", "step-00000007.safetensors", "step-00000008.safetensors"})
    expected.emplace_back(name);
  EXPECT_THAT(names(run.checkpoints()), ::testing::UnorderedElementsAreArray(expected));
  EXPECT_EQ(checkpoint::RunFolder::numbered_step("step-123456789.safetensors"), 123456789);
  EXPECT_EQ(checkpoint::RunFolder::numbered_step("step-00000040.safetensors"), 40);
}

TEST(RunFolder, WhatKilledSavesLeftIsRemovedAndNothingElse) {
  const test::TemporaryFolder folder;
  const checkpoint::RunFolder run(folder / "run");
  run.create();
  for (const auto* name : {"checkpoints/.step-00000040.safetensors.tmp.4711",
                           "checkpoints/.step-00000040.safetensors.tmp.node-7.4711.0123456789abcdef",
                           "checkpoints/.last.safetensors.tmp.node.1.0", "checkpoints/best.safetensors.link",
                           "checkpoints/.best.safetensors.tmp.1", "checkpoints/.lowest_fd.safetensors.tmp.1",
                           "pictures/.samples-40.png.tmp.1", ".config.yaml.tmp.1", ".metrics.jsonl.tmp.a.1.2"})
    test::write_text(run.root() / name, "x");
  const std::vector<std::string> others{".notes.txt.tmp.1", ".config.yaml", "x.link"};
  for (const auto& name : others) test::write_text(run.root() / name, "x");
  test::write_text(run.checkpoints() / ".mine.safetensors.tmp.1", "x");
  run.remove_temporaries();
  EXPECT_THAT(names(run.checkpoints()), UnorderedElementsAre(".mine.safetensors.tmp.1"));
  EXPECT_THAT(names(run.pictures()), ::testing::IsEmpty());
  EXPECT_THAT(names(run.root()), UnorderedElementsAre("checkpoints", "pictures", "tensorboard", ".notes.txt.tmp.1",
                                                      ".config.yaml", "x.link"));
}

TEST(RunFolder, ASaveThatFailsLeavesTheEarlierCheckpoint) {
  const test::TemporaryFolder folder;
  const checkpoint::RunFolder run(folder / "run");
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
  EXPECT_EQ(test::read_text(run.lowest_fd()), bytes);
  EXPECT_THAT(names(run.checkpoints()),
              UnorderedElementsAre("last.safetensors", "lowest_fd.safetensors", "step-00000001.safetensors"));
}

TEST(RunFolder, CannotStandWhereAFileIs) {
  const test::TemporaryFolder folder;
  test::write_text(folder / "file", "x");
  EXPECT_THAT(test::message_of<Error>([&] { checkpoint::RunFolder(folder / "file").create(); }),
              HasSubstr("cannot make the folder"));
}

TEST(FindCheckpoint, SaysWhereItLooked) {
  const test::TemporaryFolder folder;
  const auto run = folder / "run", file = folder / "no.safetensors";
  EXPECT_THAT(test::message_of<UsageError>([&] { checkpoint::find_checkpoint(run.string(), ""); }),
              HasSubstr("last.safetensors"));
  EXPECT_THAT(test::message_of<UsageError>([&] { checkpoint::find_checkpoint("", file.string()); }),
              HasSubstr(file.string() + ": no such checkpoint"));
  const checkpoint::RunFolder made(run);
  made.create();
  made.save(file_of(1), 1, false, 1);
  EXPECT_EQ(checkpoint::find_checkpoint(run.string(), ""), made.last());
  EXPECT_EQ(checkpoint::find_checkpoint("", made.last().string()), made.last());
  std::filesystem::remove(made.last());
  EXPECT_TRUE(made.has_checkpoint());
  EXPECT_EQ(checkpoint::find_checkpoint(run.string(), ""), made.checkpoints() / "step-00000001.safetensors");
}
