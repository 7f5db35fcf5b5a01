// Passes that are recorded once and replayed, by the tape that does on a CPU what a CUDA graph does, against the same
// training made as it stands. In one thread, for sums over threads round differently.
#include "sdg/learn/recorded_passes.h"

#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>

#include "sdg/core/error.h"
#include "sdg/core/log.h"
#include "sdg/learn/learner.h"
#include "support/made_batch.h"
#include "support/tape.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

namespace {

class Recorded : public ::testing::Test {
 protected:
  Recorded() { at::set_num_threads(1); }
  ~Recorded() override { at::set_num_threads(threads_); }

  static recipe::RunConfig config(const std::string& source = "online") {
    auto out = test::tiny_config("unused", source);
    out.cluster.queue = 20;
    out.cluster.window_begin = 0.1;
    return out;
  }

  // Ten steps of both, through the change; conditions begin after the fourth.
  static void expect_the_same(const recipe::RunConfig& config, const std::string& name, bool waits = false) {
    const auto ids = config.condition.source == recipe::Source::kLabel ? at::arange(40) % 4 : Tensor();
    learn::Learner plain(config, at::kCPU, ids, ids.defined() ? 4 : 0, 40),
        recorded(config, at::kCPU, ids, ids.defined() ? 4 : 0, 40);
    if (!waits) {
      plain.wait_for_nothing();
      recorded.wait_for_nothing();
    }
    std::vector<std::string> said;
    log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); });
    recorded.record_passes(test::tapes());
    const auto taped = test::operations_taped();
    std::vector<learn::StepResult> expected, found;
    for (int64_t step = 0; step < 10; ++step) {
      expected.push_back(plain.step(test::made_batch(step)));
      found.push_back(recorded.step(test::made_batch(step)));
    }
    log::set_sink({});
    EXPECT_THAT(said, IsEmpty()) << name;
    EXPECT_GT(test::operations_taped(), taped) << name << ": nothing was recorded";
    for (size_t step = 0; step < found.size(); ++step) {
      EXPECT_EQ(double(found[step].flow_loss), double(expected[step].flow_loss)) << name << ", step " << step;
      EXPECT_EQ(double(found[step].objective), double(expected[step].objective)) << name << ", step " << step;
    }
    expect_same_state(plain, recorded, name);
  }

  static void expect_same_state(learn::Learner& plain, learn::Learner& recorded, const std::string& name) {
    tensors::TensorFile a, b;
    plain.settle();
    recorded.settle();
    plain.save(a);
    recorded.save(b);
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (const auto& [key, tensor] : a.tensors) EXPECT_TRUE(test::same_bytes(tensor, b.at(key))) << name << ": " << key;
    EXPECT_EQ(a.metadata, b.metadata) << name;
  }

 private:
  const int threads_ = at::get_num_threads();
};

}  // namespace

TEST_F(Recorded, PassesTrainAsThoseMadeAsTheyStand) {
  using Change = std::function<void(recipe::RunConfig&)>;
  const std::map<std::string, std::pair<std::string, Change>> ways{
      {"two views", {"online", [](auto&) {}}},
      {"one view",
       {"online", [](auto& c) { test::named(c.cluster.views, "one"), test::named(c.cluster.balance, "batch"); }}},
      {"centroids", {"online", [](auto& c) { test::named(c.condition.token, "centroid"); }}},
      {"maps of clusters", {"online", [](auto& c) { test::named(c.cluster.level, "patch"); }}},
      {"no conditions", {"none", [](auto&) {}}},
      {"labels", {"label", [](auto&) {}}},
      {"an inner head and learned guidance",
       {"online", [](auto& c) { c.guided.inner = 1, test::named(c.guided.learn, "gft"); }}},
      {"guidance of the average", {"label", [](auto& c) { test::named(c.guided.learn, "mg"), c.guided.start = 0.5; }}},
      {"a U-Net with dropout",
       {"online",
        [](auto& c) { c.model.name = "adm-tiny", c.model.dim = 32, c.model.patch = 0, c.model.dropout = 0.3; }}},
      {"checkpointed", {"online", [](auto& c) { c.model.activation_checkpointing = true; }}},
      {"aligned with itself, dispersive",
       {"none", [](auto& c) { c.align.extractor = "self", c.train.dispersive = 0.3; }}},
      {"weighted losses", {"none", [](auto& c) { test::named(c.train.loss_on, "min_snr"); }}},
  };
  for (const auto& [name, way] : ways) {
    auto changed = config(way.first);
    way.second(changed);
    expect_the_same(changed, name);
  }
}

TEST_F(Recorded, PassesTrainAsOthersWhereStepsRead) {
  expect_the_same(config(), "two views", /*waits=*/true);
  expect_the_same(config("label"), "labels", /*waits=*/true);
}

TEST_F(Recorded, PassesKeepHalfPrecisionWeightsOfTheirOwnStep) {
  if (!has_native_bf16()) GTEST_SKIP() << "this CPU has no bf16";
  auto halved = config();
  halved.train.precision = Precision::kBf16;
  expect_the_same(halved, "bf16");
}

TEST_F(Recorded, PassesAreCalledOnlyUntilTheyAreRecorded) {
  const auto operations_in = [&](int64_t steps) {
    auto short_run = config("none");
    learn::Learner learner(short_run, at::kCPU, {}, 0, 40);
    learner.wait_for_nothing();
    learner.record_passes(test::tapes());
    const auto before = test::operations_taped();
    for (int64_t step = 0; step < steps; ++step) learner.step(test::made_batch(step));
    return test::operations_taped() - before;
  };
  const auto few = operations_in(3);
  EXPECT_GT(few, 100U);
  EXPECT_EQ(operations_in(9), few);
}

TEST_F(Recorded, ABadStepChangesNothing) {
  learn::Learner learner(config(), at::kCPU, {}, 0, 40), other(config(), at::kCPU, {}, 0, 40);
  for (auto* each : {&learner, &other}) {
    each->wait_for_nothing();
    each->record_passes(test::tapes());
    for (int64_t step = 0; step < 7; ++step) each->step(test::made_batch(step));
  }
  auto spoiled = test::made_batch(7);
  spoiled.x[2][0][1][1] = NAN;
  learner.step(spoiled);
  learner.step(test::made_batch(8));
  EXPECT_THAT(test::message_of<learn::BadStep>([&] { learner.settle(); }), StartsWith("step 8: the flow loss is not"));
  expect_same_state(other, learner, "undone");
}

TEST_F(Recorded, PassesOfARunThatTheHostDecidesAreMadeAsTheyStandAndThatIsSaid) {
  auto kept = config();
  kept.cluster.refresh = 0.5;
  learn::Learner plain(kept, at::kCPU, {}, 0, 40), asked(kept, at::kCPU, {}, 0, 40);
  std::vector<std::string> said;
  log::set_sink([&](log::Level, std::string_view text) { said.emplace_back(text); });
  asked.record_passes(test::tapes());
  const auto taped = test::operations_taped();
  for (int64_t step = 0; step < 8; ++step) {
    plain.step(test::made_batch(step));
    asked.step(test::made_batch(step));
  }
  log::set_sink({});
  EXPECT_THAT(said,
              ElementsAre("train.graph: passes are not recorded: cluster.refresh below 1 keeps clusters on the host"));
  EXPECT_EQ(test::operations_taped(), taped);
  expect_same_state(plain, asked, "refresh");
}

TEST_F(Recorded, OnACpuIsRefused) {
  auto asked = config();
  asked.train.graph = Graph::kCuda;
  EXPECT_EQ(test::message_of<UsageError>([&] { learn::Learner(asked, at::kCPU, {}, 0, 40); }),
            "train.graph: cuda records on a GPU, and the device is the CPU; choose none");
}

// What is left to the host of a step: docs/gpu.md.
TEST_F(Recorded, PassesAreMostOfAStep) {
  class Silent : public Recording {
   public:
    void record(const std::function<void()>& work) override { work(); }
    void replay() override {}
  };
  static std::atomic<int64_t> calls;
  auto whole = config();
  whole.train.shard = 8;   // one pass, as on a device
  whole.model.depth = 21;  // of U-ViT-L; widths change no count
  learn::Learner learner(whole, at::kCPU, {}, 0, 40);
  learner.wait_for_nothing();
  int64_t step = 0;
  const auto calls_of_a_step = [&] {
    const auto handle = at::addGlobalCallback(
        at::RecordFunctionCallback([](const at::RecordFunction&) -> std::unique_ptr<at::ObserverContext> {
          ++calls;
          return nullptr;
        }).scopes({at::RecordScope::FUNCTION}));
    calls = 0;
    learner.step(test::made_batch(step++));
    at::removeCallback(handle);
    return calls.load();
  };
  while (step < 6) learner.step(test::made_batch(step++));
  const auto all = calls_of_a_step();
  learner.record_passes([] { return std::make_unique<Silent>(); });
  learner.step(test::made_batch(step++));  // as it stands
  learner.step(test::made_batch(step++));  // recorded
  const auto left = calls_of_a_step();
  std::printf("[ host calls ] 21 blocks, two views: %d operations a step, %d with recorded passes\n",
              static_cast<int>(all), static_cast<int>(left));
  EXPECT_LT(left, all / 5);
}
