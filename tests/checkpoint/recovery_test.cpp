#include "sdg/checkpoint/recovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/io/atomic_file.h"
#include "sdg/tensors/verify.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_same_tensors;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

/// A run stopped at step 8 of 10 with a checkpoint every 2 steps, and the same run undisturbed. What resuming says is
/// in `said`.
class Recovery : public ::testing::Test {
 protected:
  Recovery() : data_(folder_ / "data.safetensors"), run_(folder_ / "run") {
    test::write_tiny_data(data_);
    config_ = test::tiny_config(data_);
    config_.train.save_every = 2;
    config_.train.keep = 3;
    config_.eval.every = 2;
    config_.eval.every_count = 8;
    test::train_quietly(config_, folder_ / "whole");
    test::train_quietly(config_, run_.root(), 8);
    log::set_sink([this](log::Level, std::string_view line) { said_ += std::string(line) + "\n"; });
  }
  ~Recovery() override { log::set_sink({}); }

  fs::path numbered(int64_t step) const { return run_.checkpoints() / cat("step-0000000", step, ".safetensors"); }
  static void flip(const fs::path& path) {
    auto bytes = test::read_text(path);
    bytes[bytes.size() - 9] ^= 4;
    std::ofstream(path, std::ios::binary | std::ios::in).write(bytes.data(), static_cast<ptrdiff_t>(bytes.size()));
  }
  static void truncate(const fs::path& path) { fs::resize_file(path, fs::file_size(path) / 2); }

  void expect_resumed_as_if_nothing_had_happened(int64_t from) {
    std::string start;
    run::Observer observer;
    observer.on_start = [&](const std::string& text) { start = text; };
    const auto outcome = run::train(config_, run_, observer);
    EXPECT_TRUE(outcome.resumed && outcome.finished);
    EXPECT_THAT(start, HasSubstr(cat("going on at step ", from)));
    const checkpoint::RunFolder whole(folder_ / "whole");
    expect_same_tensors(whole.last(), run_.last());
    expect_same_tensors(whole.lowest_fd(), run_.lowest_fd());
  }

  const test::TemporaryFolder folder_;
  const fs::path data_;
  const checkpoint::RunFolder run_;
  recipe::RunConfig config_;
  std::string said_;
};

}  // namespace

TEST_F(Recovery, ASoundRunSaysNothing) {
  expect_resumed_as_if_nothing_had_happened(8);
  EXPECT_EQ(said_, "");
}

TEST_F(Recovery, AMissingLastIsTheNewestNumberedOne) {
  fs::remove(run_.last());
  expect_resumed_as_if_nothing_had_happened(8);
  EXPECT_THAT(said_, HasSubstr("step-00000008.safetensors, the newest sound checkpoint (step 8)\n"));
}

TEST_F(Recovery, ACopyOfAnOlderOneUnderAnotherNumberIsOld) {
  fs::copy_file(numbered(6), run_.checkpoints() / "step-99999999.safetensors");
  expect_resumed_as_if_nothing_had_happened(8);
}

TEST_F(Recovery, AFolderInTheNewestOnesPlaceIsNoCheckpoint) {
  fs::remove(run_.last());
  fs::create_directory(run_.last());
  expect_resumed_as_if_nothing_had_happened(8);
  EXPECT_THAT(said_, HasSubstr("expected a file"));
}

TEST_F(Recovery, ADamagedNewestFileCostsTheStepsSinceTheOneBefore) {
  flip(numbered(8));  // and with it `last`, which is the same file
  expect_resumed_as_if_nothing_had_happened(6);
  EXPECT_THAT(said_, AllOf(HasSubstr("damaged: the checksum of its bytes"), HasSubstr("step 6"),
                           HasSubstr("steps 7 to 8 are done again")));
  // Newest first, so `last` keeps the content that was set aside; nothing of it was thrown away.
  EXPECT_TRUE(fs::exists(run_.last().string() + ".damaged"));
  EXPECT_FALSE(fs::exists(numbered(8).string() + ".damaged"));
  const auto cut = test::read_text(run_.metrics().string() + ".bak");
  EXPECT_EQ(std::count(cut.begin(), cut.end(), '\n'), 2) << cut;
}

TEST_F(Recovery, TruncatedFilesArePassedOverUntilASoundOne) {
  truncate(numbered(8));
  truncate(numbered(6));
  expect_resumed_as_if_nothing_had_happened(4);
  EXPECT_THAT(said_, AllOf(HasSubstr("step-00000006.safetensors.damaged"), HasSubstr("steps 5 to 8 are done again")));
}

TEST_F(Recovery, TheLowestIsTakenWhereNothingNewerIsSound) {
  const auto lowest = checkpoint::find_recovery(run_)->lowest_step;
  for (const auto& path : run_.numbered()) fs::remove(path);
  fs::remove(run_.last());
  expect_resumed_as_if_nothing_had_happened(lowest);
}

TEST_F(Recovery, WithoutASoundCheckpointNothingIsChanged) {
  for (const auto& path : run_.numbered()) truncate(path);
  const auto is_lowest = [&](const fs::path& path) { return fs::equivalent(path, run_.lowest_fd()); };
  const auto numbered_ones = run_.numbered();
  if (std::none_of(numbered_ones.begin(), numbered_ones.end(), is_lowest)) truncate(run_.lowest_fd());
  const auto contents = [&] {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(run_.root()))
      if (entry.is_regular_file()) out[entry.path().string()] = test::read_text(entry.path());
    return out;
  };
  const auto before = contents();
  const auto message = test::message_of<Error>([&] { test::train_quietly(config_, run_.root()); });
  EXPECT_THAT(message, AllOf(HasSubstr("none of its"), HasSubstr("; last.safetensors: "),
                             HasSubstr("; step-00000004.safetensors: "), HasSubstr("nothing was changed")));
  EXPECT_EQ(before, contents());
}

TEST_F(Recovery, ALostLowestIsFoundAgainAmongTheNumberedOnes) {
  // Training gets worse, so that the lowest one is none of the newest.
  config_.train.lr = 0.5;
  config_.train.keep = 100;
  fs::remove_all(run_.root());
  fs::remove_all(folder_ / "whole");
  test::train_quietly(config_, folder_ / "whole");
  test::train_quietly(config_, run_.root(), 8);
  ASSERT_LT(checkpoint::find_recovery(run_)->lowest_step, 8);
  said_.clear();
  fs::remove(run_.lowest_fd());
  expect_resumed_as_if_nothing_had_happened(8);
  EXPECT_THAT(said_, HasSubstr("lowest_fd.safetensors is lost: step-0000000"));
}

TEST_F(Recovery, ALostLowestIsSaidAndReplaced) {
  fs::remove(run_.lowest_fd());
  tensors::write_tensors(run_.lowest_fd(), {{{"x", at::zeros({3})}}, {}});  // not the numbered file of the same content
  flip(run_.lowest_fd());
  test::train_quietly(config_, run_.root());
  EXPECT_TRUE(fs::exists(run_.lowest_fd().string() + ".damaged"));
  EXPECT_TRUE(tensors::verify_tensors(run_.lowest_fd()));
}

TEST_F(Recovery, AKillBetweenTheNumberedFileAndItsOtherNamesChangesNothing) {
  // As a kill right after the numbered file leaves it: `last` and `lowest_fd` are those of the save before.
  io::link_atomically(numbered(6), run_.last());
  const auto lowest = checkpoint::find_recovery(run_)->lowest_step;
  if (lowest == 8) io::link_atomically(numbered(6), run_.lowest_fd());
  expect_resumed_as_if_nothing_had_happened(8);
}

TEST_F(Recovery, ARefusedConfigurationSetsNothingAside) {
  flip(numbered(8));
  auto other = config_;
  other.model.dim = 32;
  EXPECT_THAT(test::message_of<UsageError>([&] { test::train_quietly(other, run_.root()); }), HasSubstr("model.dim"));
  EXPECT_TRUE(fs::exists(run_.last()));
  EXPECT_TRUE(fs::exists(numbered(8)));
}

TEST_F(Recovery, CheckpointsOfEarlierVersionsAreGoneOnWith) {
  for (const auto& path : {run_.last(), run_.lowest_fd(), numbered(4), numbered(6), numbered(8)}) {
    auto file = tensors::read_tensors(path);
    file.metadata["format"] = "sdg-checkpoint-1";
    file.metadata.erase("sdg_checksum");
    tensors::write_tensors(path, file);
    EXPECT_FALSE(tensors::verify_tensors(path));
  }
  truncate(run_.last());
  expect_resumed_as_if_nothing_had_happened(8);
  EXPECT_TRUE(tensors::verify_tensors(run_.last()));
}

TEST_F(Recovery, TwoAtOnceInOneFolderIsRefused) {
  run::Observer observer;
  std::string second;
  observer.on_step = [&](const run::StepReport&) {
    if (second.empty()) second = test::message_of<Error>([&] { test::train_quietly(config_, run_.root()); });
  };
  run::train(config_, run_, observer);
  EXPECT_THAT(second, HasSubstr("in use by process"));
}
