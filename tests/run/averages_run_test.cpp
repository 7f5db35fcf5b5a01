// Averages that a run keeps while it trains (average.track), and those made of them afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "sdg/average/profile.h"
#include "sdg/checkpoint/average_snapshots.h"
#include "sdg/checkpoint/checkpoint.h"
#include "sdg/core/error.h"
#include "support/log_capture.h"
#include "support/thread_reducer.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

namespace {

class TrackedRun : public ::testing::Test {
 protected:
  TrackedRun() : data_(folder_ / "data.safetensors") { test::write_tiny_data(data_); }

  recipe::RunConfig config(const std::string& source = "online") const {
    auto out = test::tiny_config(data_, source);
    out.average.track = true;
    out.average.every = 2;
    test::named(out.average.stored, "float32");
    return out;
  }
  checkpoint::RunFolder run(const std::string& name) const { return checkpoint::RunFolder(folder_ / name); }
  std::set<std::string> snapshots(const std::string& name) const {
    std::set<std::string> out;
    for (const auto& entry : fs::directory_iterator(run(name).averages())) out.insert(entry.path().filename().string());
    return out;
  }
  void expect_same_snapshots(const std::string& a, const std::string& b) const {
    ASSERT_EQ(snapshots(a), snapshots(b));
    for (const auto& name : snapshots(a)) test::expect_same_tensors(run(a).averages() / name, run(b).averages() / name);
  }

  const test::TemporaryFolder folder_;
  const fs::path data_;
};

// As many of them as a run of that length keeps; the weights of all steps besides.
struct Trajectory {
  std::vector<std::map<std::string, Tensor>> weights;  // of step 1, 2, …
};
Trajectory trajectory(const checkpoint::RunFolder& run, int64_t steps) {
  Trajectory out;
  for (int64_t step = 1; step <= steps; ++step) {
    const auto file = tensors::read_tensors(run.checkpoints() / checkpoint::RunFolder::numbered_name(step));
    out.weights.emplace_back();
    for (const auto& [name, tensor] : file.tensors)
      if (name.starts_with("model.")) out.weights.back()[name.substr(6)] = tensor.to(at::kDouble);
  }
  return out;
}

// Each step counts as the integral of the profile over it.
Tensor exact(const Trajectory& trajectory, const std::string& name, double width, int64_t steps) {
  const double p = average::gamma_of(width) + 1;
  auto sum = at::zeros_like(trajectory.weights.front().at(name));
  for (int64_t n = 1; n <= steps; ++n) {
    const auto share = [&](int64_t step) {
      return std::pow(static_cast<double>(step) / static_cast<double>(steps), p);
    };
    sum += (share(n) - share(n - 1)) * trajectory.weights[static_cast<size_t>(n - 1)].at(name);
  }
  return sum;
}

double distance(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).norm().item<double>();
}

}  // namespace

TEST_F(TrackedRun, ChangesNoBitOfTheTraining) {
  auto without = config();
  without.average.track = false;
  test::train_quietly(without, folder_ / "without");
  test::train_quietly(config(), folder_ / "with");
  const auto a = tensors::read_tensors(run("without").last()), b = tensors::read_tensors(run("with").last());
  for (const auto& [name, tensor] : a.tensors) EXPECT_TRUE(test::same_bytes(tensor, b.at(name))) << name;
  EXPECT_EQ(test::figures(folder_ / "without"), test::figures(folder_ / "with"));
  EXPECT_FALSE(fs::exists(run("without").averages()));
}

TEST_F(TrackedRun, KeepsTheWeightedSumsOfItsSteps) {
  auto all = config();
  all.train.save_every = 1;
  all.train.keep = 100;
  test::train_quietly(all, folder_ / "run");
  const auto steps = trajectory(run("run"), 10);
  const auto last = tensors::read_tensors(run("run").last());
  const auto middle = tensors::read_tensors(run("run").averages() / checkpoint::RunFolder::numbered_name(6));
  int64_t compared = 0;
  for (const auto& [name, tensor] : middle.tensors) {
    const auto own = name.substr(name.find('.') + 1);
    const double width = name.starts_with("narrow.") ? 0.05 : 0.10;
    EXPECT_LT(distance(tensor, exact(steps, own, width, 6)), 1e-5) << name;
    EXPECT_LT(distance(last.at("average." + name), exact(steps, own, width, 10)), 1e-5) << name;
    EXPECT_THAT(own, ::testing::Not(HasSubstr("prototypes")));
    ++compared;
  }
  EXPECT_GT(compared, 20);
}

TEST_F(TrackedRun, StoppedGoesOnAsIfItHadNeverStopped) {
  for (const std::string source : {"online", "none"}) {
    test::train_quietly(config(source), folder_ / (source + "whole"));
    for (const int64_t stop : {1, 5}) {
      const auto name = cat(source, stop);
      test::train_quietly(config(source), folder_ / name, stop);
      // A killed run may have come further than its checkpoint.
      fs::copy_file(run(source + "whole").averages() / checkpoint::RunFolder::numbered_name(8),
                    (fs::create_directories(run(name).averages()),
                     run(name).averages() / checkpoint::RunFolder::numbered_name(9000)));
      test::train_quietly(config(source), folder_ / name);
      test::expect_same_tensors(run(source + "whole").last(), run(name).last());
      expect_same_snapshots(source + "whole", name);
    }
  }
}

TEST_F(TrackedRun, IsTheSameOverRanksAndWithShardedState) {
  for (const std::string source : {"none", "online"}) {
    auto one = config(source);
    one.train.batch = 12;
    test::train_quietly(one, folder_ / (source + "1"));
    for (const bool sharded : {false, true}) {
      auto several = one;
      several.train.shard_state = sharded;
      const auto name = cat(source, sharded ? "sharded" : "ranks");
      test::on_ranks(3, [&](Reducer& reducer) {
        int64_t asked = 0;
        run::Observer observer;
        observer.stop = [&] { return ++asked >= 5; };
        run::train(several, run(name), observer, reducer);
      });
      test::on_ranks(2, [&](Reducer& reducer) { run::train(several, run(name), {}, reducer); });
      test::expect_same_tensors(run(source + "1").last(), run(name).last());
      expect_same_snapshots(source + "1", name);
    }
  }
}

TEST_F(TrackedRun, MakesAnAverageThatWasNotTrackedNearTheExactOne) {
  auto all = config();
  all.train.steps = 48;
  all.train.save_every = 1;
  all.train.keep = 100;
  all.average.keep = 100;
  test::train_quietly(all, folder_ / "run");
  const auto steps = trajectory(run("run"), 48);
  const auto last = tensors::read_tensors(run("run").last());
  for (const double width : {0.07, 0.15, 0.2}) {
    const auto made = checkpoint::make_average(run("run").last(), width);
    EXPECT_EQ(made.snapshots, 23);
    EXPECT_LT(made.error, 0.02);
    double off = 0, apart = 0;
    for (const auto& [name, tensor] : made.file.tensors) {
      if (!name.starts_with("ema.")) {
        EXPECT_TRUE(test::same_bytes(tensor, last.at(name))) << name;
        EXPECT_FALSE(name.starts_with("optimizer.") || name.starts_with("average.") || name.starts_with("model."));
        continue;
      }
      const auto own = name.substr(4);
      if (own.starts_with("projection_head") || own.starts_with("prototypes") || own.starts_with("feature_norm")) {
        EXPECT_TRUE(test::same_bytes(tensor, last.at(name))) << name << ": clusters are the checkpoint's";
        continue;
      }
      const auto wanted = exact(steps, own, width, 48);
      off += std::pow(distance(tensor, wanted), 2);
      apart += std::pow(distance(steps.weights.back().at(own), wanted), 2);
    }
    std::printf("[ average ] width %.2f: %.4f of the way from the last weights to the exact average is missing\n",
                width, std::sqrt(off / apart));
    EXPECT_LT(std::sqrt(off / apart), 0.05) << width;
  }
  // One that was tracked is that one, and what was made is a checkpoint.
  const auto narrow = checkpoint::make_average(run("run").last(), 0.05);
  EXPECT_LT(distance(narrow.file.at("ema.norm.weight"), last.at("average.narrow.norm.weight")), 1e-5);
  // So is one of an earlier step.
  const auto early = checkpoint::make_average(run("run").last(), 0.05, 24);
  EXPECT_EQ(early.step, 24);
  EXPECT_LT(distance(early.file.at("ema.norm.weight"), exact(steps, "norm.weight", 0.05, 24)), 1e-4);
  tensors::write_tensors(folder_ / "made.safetensors", narrow.file);
  const auto trained = checkpoint::load_trained(folder_ / "made.safetensors", at::kCPU);
  EXPECT_EQ(trained.info.step, 48);
  EXPECT_TRUE(trained.prior.defined());
}

TEST_F(TrackedRun, RoundsSnapshotsToHalfTheBytes) {
  auto half = config("none");
  test::named(half.average.stored, "float16");
  test::train_quietly(config("none"), folder_ / "single");
  test::train_quietly(half, folder_ / "half");
  const auto name = checkpoint::RunFolder::numbered_name(4);
  const auto single = tensors::read_tensors(run("single").averages() / name);
  const auto rounded = tensors::read_tensors(run("half").averages() / name);
  for (const auto& [key, tensor] : rounded.tensors) {
    ASSERT_EQ(tensor.scalar_type(), at::kHalf);
    EXPECT_TRUE(at::equal(tensor, single.at(key).to(at::kHalf))) << key;
  }
  const auto exactly = checkpoint::make_average(run("single").last(), 0.12),
             nearly = checkpoint::make_average(run("half").last(), 0.12);
  for (const auto& [key, tensor] : exactly.file.tensors) {
    if (!key.starts_with("ema.")) continue;
    EXPECT_LT((tensor.to(at::kDouble) - nearly.file.at(key).to(at::kDouble)).abs().max().item<double>(), 2e-3) << key;
  }
}

TEST_F(TrackedRun, ThinsSnapshotsEvenlyWhereTheyBecomeTooMany) {
  auto few = config("none");
  few.average.every = 1;
  few.average.keep = 4;
  test::train_quietly(few, folder_ / "run");
  EXPECT_EQ(snapshots("run"), (std::set<std::string>{"step-00000002.safetensors", "step-00000004.safetensors",
                                                     "step-00000006.safetensors", "step-00000008.safetensors"}));
  auto more = few;
  more.train.steps = 12;
  test::train_quietly(more, folder_ / "run");
  EXPECT_EQ(snapshots("run"), (std::set<std::string>{"step-00000004.safetensors", "step-00000008.safetensors",
                                                     "step-00000012.safetensors"}));
  EXPECT_EQ(few.average.spacing(3), 1);
  EXPECT_EQ(few.average.spacing(8), 2);
  EXPECT_EQ(few.average.spacing(9), 2);
  EXPECT_EQ(few.average.spacing(10), 4);
}

TEST_F(TrackedRun, SaysInOneLineWhatCannotBeMade) {
  const auto refused = [&](const std::string& name, double width) {
    return test::message_of<UsageError>([&] { checkpoint::make_average(run(name).last(), width); });
  };
  auto config = this->config("none");
  test::train_quietly(config, folder_ / "run");
  EXPECT_THAT(refused("run", 0.3), HasSubstr("width: expected above 0 and at most 0.288675"));
  EXPECT_THAT(refused("run", 0.005), HasSubstr("width 0.005: no mixture of 4 snapshots comes near enough"));
  EXPECT_THAT(refused("run", 0.005), HasSubstr("of this run widths from 0.0"));
  config.average.every = 6;
  test::train_quietly(config, folder_ / "few");
  EXPECT_THAT(refused("few", 0.1), HasSubstr("expected at least 2 snapshots up to step 10, found 1"));
  config.average.track = false;
  test::train_quietly(config, folder_ / "without");
  EXPECT_THAT(refused("without", 0.1), HasSubstr("no averages were kept while training (average.track)"));
  config.average.track = true;
  config.train.steps = 12;
  EXPECT_THAT(test::message_of<UsageError>([&] { test::train_quietly(config, folder_ / "without"); }),
              HasSubstr("averages begin with the first step"));
}

TEST(Snapshots, OfNumbersBeyondFloat16AreFloat32) {
  const test::TemporaryFolder folder;
  const test::LogCapture log;
  const checkpoint::RunFolder run(folder / "run");
  recipe::AverageOptions options;
  options.track = true;
  checkpoint::save_snapshot(run, {{"narrow.a", at::full({2}, 70000.0)}, {"wide.a", at::ones({2})}}, 100, options);
  const auto file = tensors::read_tensors(run.averages() / checkpoint::RunFolder::numbered_name(100));
  EXPECT_EQ(file.at("narrow.a").scalar_type(), at::kFloat);
  EXPECT_EQ(file.at("narrow.a")[0].item<double>(), 70000);
  ASSERT_EQ(log.lines.size(), 1U);
  EXPECT_THAT(log.lines.front(), HasSubstr("narrow.a has numbers beyond float16"));
}
