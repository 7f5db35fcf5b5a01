// Training as several processes: sdg launch, torchrun, a rank that is lost.
#include <chrono>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/tiny_program.h"
#include "sdg/ranks/launcher.h"
#include "sdg/ranks/ranks.h"
#include "support/port.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::kTiny;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

// Four shards of four images, checkpoints every ten of 60 steps, sheets of pictures at the end only.
const std::string kRanks =
    kTiny + "--set train.shard=4 --set train.steps=60 --set train.save_every=10 --set train.picture_every=0 ";

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string step_of(const fs::path& checkpoint) {
  return tensors::read_tensor_header(checkpoint).metadata.at("step");
}

class Ranks : public test::Program {
 protected:
  void SetUp() override {
    if (!ranks::can_connect()) GTEST_SKIP() << "this build has no Gloo headers";
  }

  // The process of a rank of this run: the one that was told so.
  pid_t process_of(const std::string& rank) const {
    const auto begin = Clock::now();
    while (seconds_since(begin) < 60) {
      for (const auto& entry : fs::directory_iterator("/proc")) {
        const auto name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        const std::string end(1, '\0'), variable = end + "RANK=" + rank + end;
        const auto environment = bytes(entry.path() / "environ");
        std::error_code none;
        if (environment.find(variable) != std::string::npos &&
            fs::read_symlink(entry.path() / "cwd", none) == fs::canonical(folder_.path()))
          return std::stoi(name);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return -1;
  }
  static std::string bytes(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Waits for the first checkpoint.
  bool saves(const std::string& run) const {
    const auto begin = Clock::now();
    while (!fs::exists(last(run)) && seconds_since(begin) < 120)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return fs::exists(last(run));
  }

  void expect_the_run_of_one(const std::string& run) const { test::expect_same_tensors(last("one"), last(run)); }
};

}  // namespace

TEST_F(Ranks, TrainToTheBitsOfOneProcess) {
  const auto one = sdg("train --run one " + kRanks);
  ASSERT_EQ(one.code, 0) << one.err;
  for (const auto* count : {"2", "4"}) {
    const auto result = sdg(cat("launch -n ", count, " train --run ranks", count, " ", kRanks));
    ASSERT_EQ(result.code, 0) << result.err;
    expect_the_run_of_one(cat("ranks", count));
    const auto lines = test::lines_of(result.err);
    EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                            [](const auto& line) { return line.find("finished: ") != std::string::npos; }),
              1)
        << result.err;
    EXPECT_THAT(result.err, HasSubstr(cat("; ", count, " ranks")));
  }
}

TEST_F(Ranks, OneKilledIsSaidByTheFirstAndARestartGoesOnToTheSameWeights) {
  ASSERT_EQ(sdg("train --run one " + kRanks + "--set train.steps=400").code, 0);
  const auto command = "launch -n 2 train --run run " + kRanks + "--set train.steps=400";
  test::RunningProgram program(folder_.path(), command);
  ASSERT_TRUE(saves("run")) << program.err();
  ::kill(process_of("1"), SIGKILL);
  const auto begin = Clock::now();
  const auto ended = program.wait();
  EXPECT_LT(seconds_since(begin), 30);
  EXPECT_EQ(ended.code, 128 + SIGKILL);
  EXPECT_THAT(ended.err, HasSubstr("sdg: rank 0 of 2, at step "));
  EXPECT_THAT(ended.err, HasSubstr(": rank 1 gives no sign of life any more; it was last at step "));
  EXPECT_THAT(ended.err, HasSubstr("rank 1 of 2 was ended by signal 9"));
  EXPECT_LT(std::stoi(step_of(last())), 400);
  const auto again = sdg(command);
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("going on at step "));
  expect_the_run_of_one("run");
}

TEST_F(Ranks, OneStoppedIsAnErrorWithinPatienceAndAllAreGone) {
  for (const std::string rank : {"0", "1"}) {
    const auto run = "run" + rank;
    test::RunningProgram program(folder_.path(), "launch -n 2 --grace 1 train --patience 4 --run " + run + " " +
                                                     kRanks + "--set train.steps=5000");
    ASSERT_TRUE(saves(run)) << program.err();
    ::kill(process_of(rank), SIGSTOP);
    const auto begin = Clock::now();
    const auto ended = program.wait();
    EXPECT_LT(seconds_since(begin), 20);
    EXPECT_NE(ended.code, 0);
    EXPECT_THAT(ended.err, HasSubstr(rank == "1" ? "sdg: rank 0 of 2, at step " : "sdg: rank 1 of 2, at step "));
    EXPECT_THAT(ended.err, HasSubstr(rank == "1" ? "rank 1 gives no sign of life any more; it was last at step "
                                                 : "rank 0 has ended or "));
  }
}

TEST_F(Ranks, AreStartedAnewWhereThatIsAskedFor) {
  ASSERT_EQ(sdg("train --run one " + kRanks + "--set train.steps=400").code, 0);
  test::RunningProgram program(folder_.path(),
                               "launch -n 2 --restarts 1 train --run run " + kRanks + "--set train.steps=400");
  ASSERT_TRUE(saves("run")) << program.err();
  ::kill(process_of("1"), SIGKILL);
  const auto ended = program.wait();
  EXPECT_EQ(ended.code, 0) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("all ranks are started anew, restart 1 of 1"));
  EXPECT_THAT(ended.err, HasSubstr("going on at step "));
  expect_the_run_of_one("run");
}

TEST_F(Ranks, StopTogetherOnASignalAndGoOnAsOne) {
  ASSERT_EQ(sdg("train --run one " + kRanks + "--set train.steps=400").code, 0);
  test::RunningProgram program(folder_.path(), "launch -n 2 train --run run " + kRanks + "--set train.steps=400");
  ASSERT_TRUE(saves("run")) << program.err();
  program.send(SIGTERM);
  const auto ended = program.wait();
  EXPECT_EQ(ended.code, 128 + SIGTERM) << ended.err;
  EXPECT_THAT(ended.err, HasSubstr("stopped at step "));
  ASSERT_EQ(sdg("train --run run " + kRanks + "--set train.steps=400").code, 0);
  expect_the_run_of_one("run");
}

TEST_F(Ranks, ThatCannotWorkTogetherSaySoInOneLine) {
  test::expect_failure(sdg("launch -n 2 train --run run " + kRanks + "--set train.batch=2 --set train.steps=0"), 2,
                       "train.steps");
  test::expect_failure(sdg("launch -n 3 train --run run " + kRanks + "--set train.batch=2"), 2,
                       "train.batch: 2 images for 3 ranks");
  test::expect_failure(sdg("launch -n 2 train --no-such-option"), 2, "--no-such-option");
  test::expect_failure(sdg("launch -n 2 -- train --no-such-option"), 2, "train: ");  // as torchrun has it
  test::expect_failure(sdg("launch -n 2 audit --run run"), 2, "sdg audit is done by one process, and 2 were started");
  test::expect_failure(sdg("launch -n 2"), 2, "no command to start");
  test::expect_failure(sdg("launch -n 2 nonsense"), 2, "unknown command nonsense");
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  // Two commands that differ, as a person with two terminals gives them.
  const auto port = ranks::free_port();
  const auto variables = [&](int rank) {
    return cat("export RANK=", rank, " WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=", port, ";");
  };
  std::thread other([&] {
    const auto outcome = sdg("train --run run " + kRanks + "--set train.lr=0.5", variables(1));
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.err, "") << "the first rank says it";
  });
  const auto outcome = sdg("train --run run " + kRanks, variables(0));
  other.join();
  test::expect_failure(outcome, 2,
                       "rank 1 has another configuration than rank 0: 'train.lr: 0.5' instead of 'train.lr: ");
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  test::expect_failure(sdg("train --patience 2 --run run " + kRanks, variables(0)), 1, "rank 1 has not come");
  test::expect_failure(sdg("launch -n 2 train --exchange nccl --run run " + kRanks), 2, "--exchange nccl: needs GPUs");
  test::expect_failure(sdg("launch -n 2 train --set train.precision=tf32 --run run " + kRanks), 2, "train.precision");
}

// What goes wrong on one rank alone the first one says for it.
TEST_F(Ranks, OfWhichOneCannotWorkSaySoInOneLine) {
  const auto fails = [&](const std::string& options, const std::string& before, const std::string& what) {
    const auto port = ranks::free_port();
    const auto variables = [&](int rank) {
      return cat("export RANK=", rank, " WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=", port, ";");
    };
    test::Outcome other;
    std::thread second([&] { other = sdg("train --run run " + options, variables(1) + before); });
    const auto begin = Clock::now();
    const auto first = sdg("train --run run " + options, variables(0));
    second.join();
    EXPECT_LT(seconds_since(begin), 40) << "all are gone within the time limit";
    EXPECT_EQ(other.code, 1) << other.err;
    EXPECT_THAT(other.err, Not(HasSubstr("sdg: "))) << "the first rank says it";
    test::expect_failure(first, 1, what);
    EXPECT_FALSE(fs::exists(last()));
  };
  fs::create_directory(folder_ / "elsewhere");
  fs::copy_file(SDG_SOURCE_DIR "/configs/digits.safetensors", folder_ / "mine.safetensors");
  fails(kRanks + "--set data.path=/proc/self/cwd/mine.safetensors ", "cd elsewhere;",  // of each its own folder
        "rank 1 failed: ");
  fails(kRanks + "--set model.dim=1024 --set model.heads=8 --set train.steps=1 ", "ulimit -v 1400000;",
        "rank 1 failed: ");
}

TEST_F(Ranks, APortInUseIsSaidByTheFirst) {
  const test::TakenPort port;
  test::expect_failure(sdg("train --run run " + kRanks,
                           cat("export RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=", port.number(), ";")),
                       2, cat("port ", port.number(), " is in use"));
}

TEST_F(Ranks, DrawTheImagesOfOneProcess) {
  train_run();
  const std::string drawing = " --count 70 --guidance 2 --batch 16 --run run";
  ASSERT_EQ(sdg("sample --npz one.npz" + drawing).code, 0);
  const auto result = sdg("launch -n 3 sample --npz three.npz" + drawing);  // five groups of 16
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(test::read_text(folder_ / "one.npz"), test::read_text(folder_ / "three.npz"));
}

TEST_F(Ranks, MeasureAndClusterWhatOneProcessDoes) {
  train_run();
  for (const std::string command :
       {"eval-fid --count 70 --run run --json", "eval --metrics fid,kid,prdc --count 70 --run run --json",
        "eval --metrics fid,prdc --images '" SDG_SOURCE_DIR "/configs/digits.safetensors' --reference '" SDG_SOURCE_DIR
        "/configs/digits.safetensors' --reference-count 300 --json",
        "eval-clusters --run run --count 300 --json"}) {
    const auto one = sdg(command), three = sdg("launch -n 3 " + command);
    ASSERT_EQ(one.code, 0) << one.err;
    ASSERT_EQ(three.code, 0) << three.err;
    EXPECT_EQ(one.out, three.out) << command;
    EXPECT_NE(one.out, "");
  }
  const auto same_files = [&](const std::string& command) {
    const auto one = sdg(command + " one.safetensors"), two = sdg("launch -n 2 " + command + " two.safetensors");
    ASSERT_EQ(one.code, 0) << one.err;
    ASSERT_EQ(two.code, 0) << two.err;
    test::expect_same_tensors(folder_ / "one.safetensors", folder_ / "two.safetensors");
  };
  same_files("kmeans --run run --clusters 7 --device cpu --out");
  same_files("features --run run --count 200 --device cpu --store");
  test::expect_failure(sdg("launch -n 2 features --run run --device cpu"), 2,
                       "only --store is done by several processes");
}

TEST_F(Ranks, WithShardedStateTrainToTheBitsOfOneProcess) {
  const auto options = kRanks + "--set condition.source=none ";
  ASSERT_EQ(sdg("train --run one " + options).code, 0);
  const auto result = sdg("launch -n 2 train --run two " + options + "--set train.shard_state=true");
  ASSERT_EQ(result.code, 0) << result.err;
  expect_the_run_of_one("two");
}

TEST_F(Ranks, AreThoseOfTorchrun) {
  const fs::path torchrun = SDG_SOURCE_DIR "/.venv/bin/torchrun";
  if (!fs::exists(torchrun)) GTEST_SKIP() << "no torchrun at " << torchrun;
  ASSERT_EQ(sdg("train --run one " + kRanks).code, 0);
  const auto script = cat("cd '", folder_.path().string(), "' && '", torchrun.string(),
                          "' --no-python --nproc-per-node 2 --master-port ", ranks::free_port(),
                          " -- '" SDG_PROGRAM "' train --run run ", kRanks, " >out 2>err");
  EXPECT_EQ(std::system(script.c_str()), 0) << test::read_text(folder_ / "err");
  expect_the_run_of_one("run");
}
