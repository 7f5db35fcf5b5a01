// A run that goes on: with other options, after an end at any moment, after its end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/config/fields.h"
#include "sdg/core/error.h"
#include "sdg/recipe/resume_rules.h"
#include "support/python.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_same_tensors;
using test::tiny_config;
using test::train_quietly;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

// metrics.jsonl without what depends on the clock.
std::vector<nlohmann::json> rows(const fs::path& run) {
  std::istringstream lines(test::read_text(checkpoint::RunFolder(run).metrics()));
  std::vector<nlohmann::json> out;
  for (std::string line; std::getline(lines, line);) {
    out.push_back(nlohmann::json::parse(line));
    out.back().erase("images_per_second");
  }
  return out;
}

std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) out[fs::relative(entry.path(), folder).string()] = test::read_text(entry.path());
  }
  return out;
}

class Resume : public ::testing::Test {
 protected:
  Resume() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }
  fs::path last(const std::string& run) const { return checkpoint::RunFolder(folder_ / run).last(); }
  std::string picture(const std::string& run, const std::string& name) const {
    return test::read_text(checkpoint::RunFolder(folder_ / run).pictures() / name);
  }
  checkpoint::CheckpointInfo info(const std::string& run) const {
    return checkpoint::parse_info(tensors::read_tensors(last(run)), run);
  }

  const test::TemporaryFolder folder_;
  const fs::path data_;
};

}  // namespace

TEST_F(Resume, AFinishedRunIsLeftAlone) {
  const auto config = tiny_config(data_);
  EXPECT_FALSE(train_quietly(config, folder_ / "run").idle);
  const auto before = contents(folder_ / "run");
  const auto again = train_quietly(config, folder_ / "run");
  EXPECT_TRUE(again.idle);
  EXPECT_TRUE(again.finished);
  EXPECT_EQ(again.step, 10);
  EXPECT_EQ(contents(folder_ / "run"), before);
}

TEST_F(Resume, PicturesAndRowThatAnEndAfterTheSaveLeftOutAreMadeUpFor) {
  auto config = tiny_config(data_);
  config.train.picture_every = 3;
  train_quietly(config, folder_ / "whole");
  const auto all = rows(folder_ / "whole");
  for (const std::string& lost : {"row", "clusters", "samples"}) {
    SCOPED_TRACE(lost);
    const auto run = folder_ / lost;
    fs::copy(folder_ / "whole", run, fs::copy_options::recursive);
    const checkpoint::RunFolder kept(run);
    // The row is the last thing written, so without it the pictures may or may not be there.
    if (lost != "row") fs::remove(kept.pictures() / "clusters-10.png");
    if (lost == "samples") fs::remove(kept.pictures() / "samples-10.png");
    auto text = test::read_text(kept.metrics());
    text.erase(text.rfind('\n', text.size() - 2) + 1);
    test::write_text(kept.metrics(), text);
    EXPECT_FALSE(train_quietly(config, run).idle);
    EXPECT_EQ(rows(run), all);
    for (const std::string name : {"samples-10.png", "clusters-10.png"})
      EXPECT_EQ(picture(lost, name), picture("whole", name));
    EXPECT_TRUE(train_quietly(config, run).idle);
  }
}

TEST_F(Resume, AStopDoesNotWaitForPicturesAndTheyComeWhenItGoesOn) {
  auto config = tiny_config(data_);
  config.train.picture_every = 3;
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "run", 6);
  EXPECT_TRUE(fs::exists(folder_.path() / "run/pictures/samples-3.png"));
  EXPECT_FALSE(fs::exists(folder_.path() / "run/pictures/samples-6.png"));
  train_quietly(config, folder_ / "run");
  EXPECT_EQ(rows(folder_ / "run"), rows(folder_ / "whole"));
  EXPECT_EQ(picture("run", "samples-6.png"), picture("whole", "samples-6.png"));
  EXPECT_EQ(picture("run", "clusters-6.png"), picture("whole", "clusters-6.png"));
}

// As after kill -9: files of later steps than the last checkpoint, and a torn line.
TEST_F(Resume, WhatWasLoggedAfterTheLastCheckpointIsLoggedOnce) {
  SDG_NEEDS_PYTHON("tensorboard");
  const auto config = tiny_config(data_);
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "run", 8);
  const checkpoint::RunFolder run(folder_ / "run");
  for (const auto& name : {"step-00000008.safetensors", "last.safetensors"}) fs::remove(run.checkpoints() / name);
  fs::copy_file(run.checkpoints() / "step-00000006.safetensors", run.last());
  test::write_text(run.metrics(), test::read_text(run.metrics()) + "{\"step\":9,\"lo");
  train_quietly(config, folder_ / "run", 7);
  train_quietly(config, folder_ / "run");
  EXPECT_EQ(rows(folder_ / "run"), rows(folder_ / "whole"));
  const auto result = test::run_python(
      "import sys\n"
      "from tensorboard.backend.event_processing import event_accumulator as ea\n"
      "a = ea.EventAccumulator(sys.argv[1], size_guidance={ea.SCALARS: 0}); a.Reload()\n"
      "steps = [e.step for e in a.Scalars('train/loss')]\n"
      "assert steps == list(range(1, 11)), steps\n",
      {run.tensorboard().string()});
  EXPECT_EQ(result.status, 0) << result.output;
}

TEST_F(Resume, AnotherRateAndBatchAreTakenSaidAndRemembered) {
  auto config = tiny_config(data_);
  config.cluster.queue = -1;
  config.cluster.clusters = 7;  // a queue of 14 - 8 rows, then of 14 - 5
  train_quietly(config, folder_ / "run", 3);
  EXPECT_EQ(info("run").samples, 24);
  EXPECT_THAT(info("run").changes, IsEmpty());
  config.train.lr = 0.001;
  config.train.batch = 5;
  std::vector<std::string> events;
  run::Observer observer;
  observer.on_event = [&](const std::string& event) { events.push_back(event); };
  fs::copy(folder_ / "run", folder_ / "stopped", fs::copy_options::recursive);
  run::train(config, checkpoint::RunFolder(folder_ / "run"), observer);
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front(), "changed from step 3: train.batch 8 -> 5, train.lr 0.002 -> 0.001");
  EXPECT_EQ(info("run").samples, 24 + 7 * 5);
  EXPECT_THAT(info("run").changes, ElementsAre("step 3: train.batch 8 -> 5, train.lr 0.002 -> 0.001"));
  EXPECT_EQ(info("run").config.train.batch, 5);
  EXPECT_EQ(tensors::read_tensors(last("run")).at("queue").size(0), 9);

  // The changed run, stopped again, is the changed run that was not; nothing is said twice.
  train_quietly(config, folder_ / "stopped", 4);
  train_quietly(config, folder_ / "stopped", 7);
  train_quietly(config, folder_ / "stopped");
  expect_same_tensors(last("run"), last("stopped"));
  EXPECT_EQ(info("stopped").changes, info("run").changes);
  EXPECT_EQ(rows(folder_ / "stopped"), rows(folder_ / "run"));

  config.train.schedule = recipe::Schedule::kConstant;
  config.train.steps = 12;
  train_quietly(config, folder_ / "run");
  EXPECT_EQ(info("run").changes.size(), 2U);
  EXPECT_EQ(info("run").changes.back(), "step 10: train.steps 10 -> 12, train.schedule cosine -> constant");
  EXPECT_NEAR(rows(folder_ / "run").at(11).at("lr").get<double>(), 0.001, 1e-12);
}

TEST_F(Resume, ACheckpointThatCountsNoSamplesGoesOnWhereItsStepsEnd) {
  const auto config = tiny_config(data_);
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "run", 4);
  auto file = tensors::read_tensors(last("run"));
  for (auto& item : file.tensors) item.second = item.second.clone();
  ASSERT_EQ(file.metadata.erase("samples"), 1U);
  tensors::write_tensors(last("run"), file);
  train_quietly(config, folder_ / "run");
  expect_same_tensors(last("whole"), last("run"));
}

TEST_F(Resume, WhatStoredNumbersMeanMayNotChange) {
  auto config = tiny_config(data_);
  train_quietly(config, folder_ / "run", 2);
  const auto before = contents(folder_ / "run");
  const auto refusal = [&](auto change) {
    auto other = config;
    change(other);
    return test::message_of<UsageError>([&] { train_quietly(other, folder_ / "run"); });
  };
  EXPECT_THAT(refusal([](auto& c) { c.cluster.clusters = 5; }),
              HasSubstr("another configuration: cluster.clusters (4 -> 5); what is stored would mean something else"));
  EXPECT_THAT(refusal([](auto& c) { c.seed = 1; }), HasSubstr("seed (0 -> 1); the order of the data"));
  EXPECT_THAT(refusal([](auto& c) { c.condition.source = recipe::Source::kNone; }),
              HasSubstr("condition.source (online -> none)"));
  EXPECT_EQ(contents(folder_ / "run"), before);
}

TEST(ResumeChanges, FollowTheDeclarations) {
  const recipe::RunConfig config;
  auto other = config;
  EXPECT_THAT(recipe::resume_changes(config, other).refused, IsEmpty());
  EXPECT_THAT(recipe::resume_changes(config, other).said, IsEmpty());
  other.device = "cpu";
  other.train.log_every = other.train.save_every = other.train.picture_every = other.train.keep = 9;
  other.data.path = "elsewhere.safetensors";
  other.data.threads = 3;
  other.data.cache_mb = 1;
  other.sample.guidance = 4;
  other.eval.extractor = "inception";
  EXPECT_THAT(recipe::resume_changes(config, other).refused, IsEmpty());
  EXPECT_THAT(recipe::resume_changes(config, other).said, IsEmpty());
  other.seed = 3;
  other.model.name = "uvit-mini/2";
  other.train.lr = 0.25;
  other.data.max_broken = 0.5;
  const auto changes = recipe::resume_changes(config, other);
  EXPECT_THAT(changes.refused, ElementsAre("seed (0 -> 3)", HasSubstr("model.name (uvit-tiny/2 -> uvit-mini/2)")));
  EXPECT_THAT(changes.said, ElementsAre("data.max_broken 0.001 -> 0.5", "train.lr 0.002 -> 0.25"));
}

// Options that shape tensors or say what they mean are fixed: a new option is, until its declaration says otherwise.
TEST(ResumeChanges, NoOptionOfTheNetworkIsFree) {
  recipe::RunConfig config;
  const std::set<std::string> may{"model.activation_checkpointing", "model.dropout"};
  const auto fields = config::Fields::of(config);
  for (const auto& field : fields.list()) {
    if (field.path.rfind("model.", 0) == 0 && !may.count(field.path)) {
      EXPECT_EQ(field.doc.resume, config::Resume::kFixed) << field.path;
    }
  }
}
