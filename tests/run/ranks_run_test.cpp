// A run over ranks (threads here) is the run of one: its files, whatever the number, also where that changes on the
// way.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "run/alike.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/core/error.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::figures;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

class RunOverRanks : public ::testing::Test {
 protected:
  RunOverRanks() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }

  recipe::RunConfig config(const std::string& source = "online") const {
    auto out = test::tiny_config(data_, source);
    out.train.batch = 11;  // four shards, the last smaller
    out.cluster.queue = 20;
    return out;
  }

  // Until `last` steps are done (0: to the end): the rank that is asked to stop is not the first.
  void train(const recipe::RunConfig& config, const std::string& run, int64_t ranks, int64_t last = 0) const {
    test::on_ranks(ranks, [&](Reducer& reducer) {
      int64_t asked = 0;
      run::Observer observer;
      observer.stop = [&] { return last > 0 && ++asked >= last && reducer.rank() == reducer.ranks() - 1; };
      const auto outcome = run::train(config, checkpoint::RunFolder(folder_ / run), observer, reducer);
      EXPECT_EQ(outcome.step, last > 0 ? last : config.train.steps);
      EXPECT_EQ(outcome.finished, outcome.step == config.train.steps);
    });
  }
  void expect_the_same_run(const std::string& a, const std::string& b) const {
    SCOPED_TRACE(b);
    const checkpoint::RunFolder one(folder_ / a), other(folder_ / b);
    test::expect_same_tensors(one.last(), other.last());
    EXPECT_EQ(figures(folder_ / a), figures(folder_ / b));
    EXPECT_EQ(test::read_text(one.config()), test::read_text(other.config()));
  }

  const test::TemporaryFolder folder_;
  const fs::path data_;
};

}  // namespace

TEST_F(RunOverRanks, IsTheRunOfOneToTheBit) {
  for (const std::string source : {"none", "label", "online", "recluster"}) {
    train(config(source), source + "1", 1);
    for (const int64_t ranks : {2, 3, 4}) {
      train(config(source), source + std::to_string(ranks), ranks);
      expect_the_same_run(source + "1", source + std::to_string(ranks));
    }
  }
}

TEST_F(RunOverRanks, WithShardedStateWritesTheFilesOfOneAndGoesOnWithAnyNumber) {
  for (const std::string source : {"none", "online", "recluster"}) {
    auto sharded = config(source);
    sharded.train.shard_state = true;
    train(config(source), source + "1", 1);
    const checkpoint::RunFolder one(folder_ / (source + "1"));
    for (const bool at_first : {true, false}) {
      const auto run = cat(source, at_first ? "from" : "to");
      train(at_first ? sharded : config(source), run, at_first ? 3 : 1, 4);
      train(at_first ? config(source) : sharded, run, at_first ? 1 : 2);
      test::expect_same_tensors(one.last(), checkpoint::RunFolder(folder_ / run).last());
      EXPECT_EQ(figures(one.root()), figures(folder_ / run));
    }
    train(sharded, source + "whole", 2);
    test::expect_same_tensors(one.last(), checkpoint::RunFolder(folder_ / (source + "whole")).last());
  }
}

TEST_F(RunOverRanks, OfTwoProgramsIsAnErrorOfAll) {
  test::on_ranks(2, [](Reducer& reducer) {
    const std::string version = reducer.rank() == 0 ? "sdg 0.1.0, LibTorch 2.13.0" : "sdg 0.2.0, LibTorch 2.13.0";
    EXPECT_EQ(test::message_of<UsageError>([&] { run::check_alike("program", version, reducer); }),
              "rank 1 has another program than rank 0: 'sdg 0.2.0, LibTorch 2.13.0' instead of 'sdg 0.1.0, LibTorch "
              "2.13.0'");
  });
}

TEST_F(RunOverRanks, WithABatchOfUnevenSharesAndMicroBatchesEqualsOne) {
  auto uneven = config("online");
  uneven.train.batch = 13;
  uneven.train.micro_batch = 2;
  train(uneven, "one", 1);
  train(uneven, "three", 3);
  expect_the_same_run("one", "three");
}

TEST_F(RunOverRanks, GoesOnWithAnotherNumberOfRanks) {
  train(config(), "whole", 1);
  for (const int64_t k : {3, 5}) {
    for (const int64_t ranks : {1, 4}) {
      const auto run = cat("from2at", k, "to", ranks);
      train(config(), run, 2, k);
      train(config(), run, ranks);
      expect_the_same_run("whole", run);
    }
  }
}

TEST_F(RunOverRanks, KeepsThePseudoLabelsThatTheFirstMade) {
  train(config("none"), "source", 1);
  auto clustered = config("kmeans");
  clustered.condition.run = (folder_ / "source").string();
  train(clustered, "one", 1);
  train(clustered, "two", 2);
  expect_the_same_run("one", "two");
  train(clustered, "stopped", 2, 4);
  train(clustered, "stopped", 4);
  expect_the_same_run("one", "stopped");
}

TEST_F(RunOverRanks, WithFewerShardsThanRanksEqualsOneWithinRounding) {
  auto whole = config("none");
  whole.train.shard = 32;
  train(whole, "one", 1);
  train(whole, "three", 3);
  const auto one = tensors::read_tensors(checkpoint::RunFolder(folder_ / "one").last());
  const auto three = tensors::read_tensors(checkpoint::RunFolder(folder_ / "three").last());
  for (const auto& [name, tensor] : one.tensors) {
    if (name.rfind("model.", 0) == 0)
      EXPECT_LT((tensor - three.tensors.at(name)).abs().max().item<double>(), 1e-5) << name;
  }
}

TEST_F(RunOverRanks, OnlyTheFirstHasAFolderToWriteTo) {
  const auto config = this->config();
  test::on_ranks(2, [&](Reducer& reducer) {
    // The others read there what it wrote; here it is nothing.
    const auto run = reducer.rank() == 0 ? "first" : "other";
    run::train(config, checkpoint::RunFolder(folder_ / run), {}, reducer);
  });
  EXPECT_TRUE(fs::exists(checkpoint::RunFolder(folder_ / "first").last()));
  EXPECT_FALSE(fs::exists(folder_ / "other"));
}

TEST_F(RunOverRanks, ThatDoNotSeeTheSameFolderAreAnErrorOfAll) {
  train(config(), "first", 2, 3);
  test::on_ranks(2, [&](Reducer& reducer) {
    const auto run = reducer.rank() == 0 ? "first" : "other";
    EXPECT_THAT(
        test::message_of<UsageError>([&] { run::train(config(), checkpoint::RunFolder(folder_ / run), {}, reducer); }),
        HasSubstr("rank 1 has another checkpoint to go on from (all must see the run's folder) than rank 0: "
                  "'none' instead of '"));
  });
}

TEST_F(RunOverRanks, OfTwoConfigurationsIsAnErrorOfAll) {
  test::on_ranks(3, [&](Reducer& reducer) {
    auto own = config();
    if (reducer.rank() == 2) own.train.lr = 0.5;
    EXPECT_THAT(
        test::message_of<UsageError>([&] { run::train(own, checkpoint::RunFolder(folder_ / "run"), {}, reducer); }),
        HasSubstr("rank 2 has another configuration than rank 0: 'train.lr: 0.5' instead of 'train.lr: "));
  });
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(RunOverRanks, WithMoreRanksThanImagesIsAnErrorOfAll) {
  auto small = config();
  small.train.batch = 2;
  test::on_ranks(3, [&](Reducer& reducer) {
    EXPECT_THAT(
        test::message_of<UsageError>([&] { run::train(small, checkpoint::RunFolder(folder_ / "run"), {}, reducer); }),
        HasSubstr("train.batch: 2 images for 3 ranks"));
  });
  EXPECT_FALSE(fs::exists(folder_ / "run"));
}

TEST_F(RunOverRanks, WhatTheFirstCannotWriteIsAnErrorOfAll) {
  test::write_text(folder_ / "file", "no folder");
  test::on_ranks(2, [&](Reducer& reducer) {
    const auto message =
        test::message_of<Error>([&] { run::train(config(), checkpoint::RunFolder(folder_ / "file"), {}, reducer); });
    EXPECT_THAT(message, HasSubstr("file"));
  });
}
