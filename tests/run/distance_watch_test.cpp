// Measuring while training: it changes nothing of the training, is what eval-fid says of the same checkpoint, and the
// checkpoint of the lowest distance is the one that is kept, whatever interrupts the run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/data/dataset.h"
#include "sdg/evaluate/image_feeds.h"
#include "sdg/vision/feature_extractor.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_same_tensors;
using test::figures;
using test::train_quietly;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

constexpr const char* kName = "FD-digits";

std::map<int64_t, double> distances(const fs::path& run) {
  std::istringstream lines(test::read_text(checkpoint::RunFolder(run).metrics()));
  std::map<int64_t, double> out;
  for (std::string line; std::getline(lines, line);) {
    const auto row = nlohmann::json::parse(line);
    if (row.contains(kName)) EXPECT_TRUE(out.emplace(row["step"], row[kName]).second) << "once a step";
  }
  return out;
}

int64_t step_of(const fs::path& checkpoint) {
  return checkpoint::parse_info(tensors::read_tensor_header(checkpoint), checkpoint.string()).step;
}

class DistanceWatch : public ::testing::Test {
 protected:
  DistanceWatch() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }
  recipe::RunConfig config(int64_t every = 2) const {
    auto out = test::tiny_config(data_);
    out.eval.every = every;
    out.eval.every_count = 24;
    out.sample.guidance = 1.5;
    out.sample.steps = 3;
    return out;
  }
  checkpoint::RunFolder run(const std::string& name) const { return checkpoint::RunFolder(folder_ / name); }
  void expect_same_runs(const std::string& a, const std::string& b) const {
    SCOPED_TRACE(b);
    expect_same_tensors(run(a).last(), run(b).last());
    expect_same_tensors(run(a).lowest_fd(), run(b).lowest_fd());
    EXPECT_EQ(figures(folder_ / a), figures(folder_ / b));
  }

  const test::TemporaryFolder folder_;
  const fs::path data_;
};

}  // namespace

TEST_F(DistanceWatch, ChangesNoBitOfTheTraining) {
  train_quietly(config(0), folder_ / "without");
  train_quietly(config(), folder_ / "with");
  const auto without = tensors::read_tensors(run("without").last()), with = tensors::read_tensors(run("with").last());
  ASSERT_EQ(without.tensors.size(), with.tensors.size());
  for (const auto& [name, tensor] : without.tensors)
    if (name != "figures") EXPECT_TRUE(test::same_bytes(tensor, with.at(name))) << name;
  EXPECT_FALSE(fs::exists(run("without").lowest_fd())) << "nothing was measured";
  EXPECT_TRUE(distances(folder_ / "without").empty());
}

TEST_F(DistanceWatch, GivesTheDistanceOfTheCheckpointAndKeepsTheLowest) {
  auto config = this->config();
  config.train.keep = 100;
  config.train.save_every = 1;
  train_quietly(config, folder_ / "run");
  const auto found = distances(folder_ / "run");
  ASSERT_EQ(found.size(), 5U);
  const auto extractor = vision::make_extractor("digits", "", at::kCPU);
  const data::Dataset dataset(data::open_data(config.data, ""), config.data);
  const auto reference = evaluate::gaussian_of(evaluate::dataset_feed(dataset, 0), *extractor);
  double lowest = INFINITY;
  int64_t at = 0;
  for (const auto& [step, value] : found) {
    const auto file = run("run").checkpoints() / cat("step-", step < 10 ? "0000000" : "000000", step, ".safetensors");
    const auto trained = checkpoint::load_trained(file, at::kCPU);
    generate::Request request{.sample = trained.info.config.sample};
    request.sample.count = 24;
    const auto drawn = evaluate::gaussian_of(evaluate::sample_feed(trained, request, at::kCPU), *extractor);
    EXPECT_NEAR(value, metrics::frechet_distance(drawn, reference), 1e-6 * value) << step;
    if (value < lowest) {
      lowest = value;
      at = step;
    }
  }
  EXPECT_EQ(step_of(run("run").lowest_fd()), at);
}

TEST_F(DistanceWatch, AStoppedRunGoesOnAsIfItHadNeverStopped) {
  for (const double lr : {0.002, 0.5}) {  // the second one gets worse
    auto config = this->config();
    config.train.lr = lr;
    const auto whole = cat("whole", lr);
    train_quietly(config, folder_ / whole);
    for (const int64_t k : {1, 2, 3, 4, 8, 9}) {
      const auto name = cat("stopped", lr, "at", k);
      train_quietly(config, folder_ / name, k);
      train_quietly(config, folder_ / name);
      expect_same_runs(whole, name);
    }
  }
}

TEST_F(DistanceWatch, AKillBeforeTheSaveIsMadeUpFor) {
  auto config = this->config();
  config.train.keep = 100;
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "run", 9);
  // As a kill after the row of step 8 and before its checkpoint leaves it.
  for (const auto& path : run("run").numbered())
    if (step_of(path) > 6) fs::remove(path);
  const auto kept = run("run").numbered();
  ASSERT_FALSE(kept.empty());
  const auto newest = step_of(kept.back());
  fs::remove(run("run").last());
  if (fs::exists(run("run").lowest_fd()) && step_of(run("run").lowest_fd()) > newest)
    fs::remove(run("run").lowest_fd());
  train_quietly(config, folder_ / "run");
  expect_same_runs("whole", "run");
}

TEST_F(DistanceWatch, IsTheSameOverRanks) {
  const auto train = [&](const std::string& name, int64_t ranks, int64_t last = 0) {
    auto config = this->config();
    config.train.batch = 11;
    test::on_ranks(ranks, [&](Reducer& reducer) {
      int64_t asked = 0;
      run::Observer observer;
      observer.stop = [&] { return last > 0 && ++asked >= last && reducer.rank() == reducer.ranks() - 1; };
      run::train(config, run(name), observer, reducer);
    });
  };
  train("one", 1);
  for (const int64_t ranks : {2, 3}) {
    const auto name = std::to_string(ranks);
    train(name, ranks);
    expect_same_runs("one", name);
  }
  train("moved", 3, 4);
  train("moved", 2);
  expect_same_runs("one", "moved");
}

TEST_F(DistanceWatch, TellsTheProgressLineAndTheTerminal) {
  std::vector<std::string> events;
  std::optional<run::Measured> last;
  run::Observer observer;
  observer.on_event = [&](const std::string& event) { events.push_back(event); };
  observer.on_step = [&](const run::StepReport& report) { last = report.measured; };
  run::train(config(4), run("run"), observer);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->name, kName);
  EXPECT_EQ(last->step, 8) << "the one at the end comes after the last step's report";
  EXPECT_THAT(events,
              ::testing::Contains(HasSubstr("FD-digits every 4 steps, of 24 images against 40 of the training")));
  EXPECT_THAT(events, ::testing::Contains(::testing::MatchesRegex("step 4: FD-digits [0-9.]+, the lowest so far")));
}

TEST_F(DistanceWatch, MeasuredOtherwiseTheLowestIsFoundAnew) {
  auto config = this->config();
  train_quietly(config, folder_ / "run", 5);
  config.eval.every_count = 40;
  std::string said;
  log::set_sink([&](log::Level, std::string_view line) { said += std::string(line) + "\n"; });
  train_quietly(config, folder_ / "run");
  log::set_sink({});
  EXPECT_THAT(said, HasSubstr("distances are measured otherwise than before"));
  EXPECT_GT(step_of(run("run").lowest_fd()), 5) << "of the new ones";
}

TEST_F(DistanceWatch, GoesOnWithAFolderOfEarlierVersions) {
  const auto config = this->config(0);
  train_quietly(config, folder_ / "whole");
  train_quietly(config, folder_ / "run", 6);
  for (const auto& path : {run("run").last(), run("run").numbered().front(), run("run").numbered().back()}) {
    auto file = tensors::read_tensors(path);
    for (auto& item : file.tensors) item.second = item.second.clone();
    const auto now = file.tensors.at("figures");
    // Sum, weight, the lowest smoothed loss, cluster loss.
    file.tensors["figures"] =
        at::tensor({now[0].item<double>(), now[1].item<double>(), 0.5, now[2].item<double>()}, at::kDouble);
    tensors::write_tensors(path, file);
  }
  fs::copy_file(run("run").numbered().front(), run("run").earlier_best());
  const auto bytes = test::read_text(run("run").earlier_best());
  EXPECT_TRUE(train_quietly(config, folder_ / "run").resumed);
  EXPECT_EQ(test::read_text(run("run").earlier_best()), bytes) << "left as it is";
  const auto whole = tensors::read_tensors(run("whole").last()), went = tensors::read_tensors(run("run").last());
  for (const auto& [name, tensor] : whole.tensors)
    EXPECT_LT((tensor.to(at::kDouble) - went.at(name).to(at::kDouble)).nan_to_num().abs().max().item<double>(), 1e-6)
        << name;
  EXPECT_FALSE(fs::exists(run("run").lowest_fd()));
}

TEST_F(DistanceWatch, WhatCannotBeMeasuredIsRefusedBeforeTheFirstStep) {
  auto config = this->config();
  config.eval.extractor = "dinov2-vitl14";
  config.eval.weights = (folder_ / "none.pth").string();
  EXPECT_THAT(test::message_of<Error>([&] { train_quietly(config, folder_ / "run"); }), HasSubstr("none.pth"));
  config.eval.extractor = "nothing";
  EXPECT_THAT(test::message_of<UsageError>([&] { train_quietly(config, folder_ / "run"); }),
              HasSubstr("extractor must be one of"));
  EXPECT_FALSE(fs::exists(folder_ / "run"));
  config = this->config();
  config.eval.reference = (folder_ / "nowhere").string();
  EXPECT_THAT(test::message_of<Error>([&] { train_quietly(config, folder_ / "run"); }), HasSubstr("nowhere"));
  config = this->config();
  config.sample.guide = sample::Guide::kNetwork;
  EXPECT_THAT(test::message_of<UsageError>([&] { recipe::check_config(config); }), HasSubstr("eval.every"));
}
