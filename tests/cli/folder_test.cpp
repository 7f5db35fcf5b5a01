#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/tiny_program.h"
#include "sdg/core/error.h"
#include "sdg/io/folder_lock.h"
#include "sdg/tensors/tensor_file.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_failure;
using test::kTiny;
using test::Program;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

const std::string kLong = "train --run run " + kTiny + "--set train.steps=4000 --set train.save_every=5";

/// Shell text that puts `commands` into a file system of their own at `place` of that many bytes; needs to be root.
std::string in_a_small_disk(const std::string& place, uintmax_t bytes, const std::string& commands) {
  return cat("unshare -m sh -c 'mkdir -p ", place, " && mount -t tmpfs -o size=", bytes, " tmpfs ", place, " && ",
             commands, "' ;");
}

class SmallDisk : public Program {
 protected:
  void SetUp() override {
    if (std::system("unshare -m sh -c 'mount -t tmpfs tmpfs /mnt' 2>/dev/null") != 0)
      GTEST_SKIP() << "mounting a small disk needs root";
    train_run();
  }
};

}  // namespace

TEST_F(Program, ASecondProcessInTheFolderIsRefusedAndNamesTheFirst) {
  test::RunningProgram first(folder_.path(), kLong);
  ASSERT_TRUE(first.says("condition", 60)) << first.err();
  expect_failure(sdg(kLong), 1, "run: in use by process ");
  expect_failure(sdg("train --resume run"), 1, "(sdg train, since 2");
  first.send(SIGKILL);
  EXPECT_EQ(first.wait().code, 128 + SIGKILL);
  EXPECT_TRUE(fs::exists(io::FolderLock::file_of(folder_ / "run")));
  const auto after = sdg("train --run run " + kTiny);  // may refuse the number of steps done, never the lock
  EXPECT_EQ(after.err.find("in use"), std::string::npos) << after.err;
}

TEST_F(Program, OfTwoProcessesStartedAtOnceOneTrains) {
  test::RunningProgram a(folder_.path(), "train --run run " + kTiny + "--set train.steps=60");
  test::RunningProgram b(folder_.path(), "train --run run " + kTiny + "--set train.steps=60");
  const auto one = a.wait(), two = b.wait();
  EXPECT_EQ(std::min(one.code, two.code), 0) << one.err << two.err;
  // The other came while the first was at work, or after it had finished, when there was nothing left to do.
  const auto& other = one.code == 0 ? two : one;
  if (other.code != 0) expect_failure(other, 1, "in use by process");
  EXPECT_EQ(tensors::read_tensors(last()).metadata.at("step"), "60");
  EXPECT_FALSE(fs::exists(io::FolderLock::file_of(folder_ / "run")));
}

TEST_F(Program, EveryCommandThatLoadsACheckpointNoticesAFlippedBit) {
  train_run();
  auto bytes = test::read_text(last());
  bytes[bytes.size() / 2] ^= 16;
  fs::create_directories(folder_ / "other/checkpoints");
  test::write_text(last("other"), bytes);
  const std::string file = "other/checkpoints/last.safetensors";
  for (const auto& command : std::vector<std::string>{
           "train --run other " + kTiny, "sample --checkpoint " + file, "sample --run other", "inspect " + file,
           "inspect --verify " + file, "audit --checkpoint " + file, "eval-fid --run other --count 8",
           "eval-clusters --run other", "clusters --run other", "convert " + file + " o.pt --to public",
           "sweep --run other --guidance 1 --count 8", "kmeans --run other --out ids.safetensors",
           "train --run third " + kTiny + "--set model.weights=" + file}) {
    const auto result = sdg(command);
    expect_failure(result, 1, "last.safetensors: damaged: the checksum of its bytes is ");
  }
  EXPECT_EQ(test::read_text(last("other")), bytes);
  const auto sound = sdg("inspect --verify " + last().string());
  EXPECT_EQ(sound.code, 0) << sound.err;
  EXPECT_THAT(sound.out, HasSubstr("checksum: sound"));
}

TEST_F(Program, ADamagedLastNamesTheSoundCheckpointAndResumingMendsIt) {
  train_run("--set train.save_every=2");
  fs::copy_file(last(), folder_ / "whole.safetensors");
  fs::resize_file(last(), fs::file_size(last()) / 3);  // and with it its other names
  expect_failure(sdg("sample --run run --count 1"), 1, "step-00000004.safetensors (step 4): name it with --checkpoint");
  const auto resumed = sdg("train --resume run --set train.save_every=2");
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, AllOf(HasSubstr("truncated"), HasSubstr("step-00000006.safetensors.damaged"),
                                 HasSubstr("steps 5 to 6 are done again")));
  EXPECT_THAT(test::read_text(folder_ / "run" / "log.txt"), HasSubstr("steps 5 to 6 are done again"));
  test::expect_same_tensors(last(), folder_ / "whole.safetensors");
}

TEST_F(Program, VerifyRefusesWhatHasNoChecksum) {
  tensors::write_tensors(folder_ / "theirs.safetensors", {{{"x", at::zeros({3})}}, {}});
  expect_failure(sdg("inspect --verify theirs.safetensors"), 1, "theirs.safetensors: has no checksum");
}

TEST_F(SmallDisk, AFullOneLeavesTheEarlierCheckpointAndEndsWithOneError) {
  uintmax_t used = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "run"))
    if (entry.is_regular_file()) used += 4096 + entry.file_size() / entry.hard_link_count();
  const auto size = fs::file_size(last());
  const auto before = test::read_text(last());
  // One half of a checkpoint fits beside what is there.
  const auto result = sdg("--version", in_a_small_disk("disk", used + size / 2,
                                                       cat("cp -a run disk/run && \"", SDG_PROGRAM,
                                                           "\" train --resume disk/run --set train.steps=8 2>err; ",
                                                           "echo $? >code; cp -a disk/run after")));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(test::read_text(folder_ / "code"), "1\n");
  EXPECT_THAT(test::read_text(folder_ / "err"),
              HasSubstr("step-00000008.safetensors: cannot write: No space left on device\n"));
  EXPECT_EQ(test::read_text(last("after")), before);
  for (const auto& entry : fs::directory_iterator(last("after").parent_path()))
    EXPECT_EQ(entry.path().extension(), ".safetensors") << entry.path();
  const auto again = sdg("train --resume after --set train.steps=8");
  EXPECT_EQ(again.code, 0) << again.err;
}

TEST_F(SmallDisk, AReadOnlyFolderIsNamedAtOnce) {
  const auto result =
      sdg("--version", in_a_small_disk("disk", 50'000'000,
                                       cat("cp -a run disk/run && mount -o remount,ro disk && \"", SDG_PROGRAM,
                                           "\" train --resume disk/run --set train.steps=8 2>err; ", "echo $? >code")));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(test::read_text(folder_ / "code"), "1\n");
  EXPECT_THAT(test::read_text(folder_ / "err"), HasSubstr("disk/run: cannot write there: Read-only file system\n"));
}
