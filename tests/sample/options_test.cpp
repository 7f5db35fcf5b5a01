#include "sdg/sample/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "support/temporary_folder.h"

using namespace sdg;
using sample::SampleOptions;
using sample::Solver;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

std::vector<std::string> idle_names(const SampleOptions& options) {
  std::vector<std::string> out;
  for (const auto& [name, reason] : sample::idle(options)) {
    EXPECT_FALSE(reason.empty()) << name;
    out.push_back(name);
  }
  return out;
}

}  // namespace

TEST(SampleOptions, KnowWhichOfThemHaveNoEffect) {
  SampleOptions options;
  options.guidance = 2;
  EXPECT_THAT(idle_names(options),
              ElementsAre("atol", "churn", "churn_max", "churn_min", "churn_noise", "clip_percentile", "diffusion",
                          "diffusion_norm", "eta", "guidance_between", "inner_guidance_begin", "inner_guidance_end",
                          "karras_rho", "last_step", "last_step_size", "rtol", "shift", "times", "variance"));
  options.guidance = 1;
  EXPECT_EQ(sample::idle(options).at("guidance_begin"), "guidance is 1 inside as outside");
  EXPECT_TRUE(sample::idle(options).contains("guidance_end"));
  options.guidance_convention = sample::Convention::kPaper;
  EXPECT_FALSE(sample::idle(options).contains("guidance_end")) << "s = 1 is w = 2";
  options.guidance = 0;
  EXPECT_TRUE(sample::idle(options).contains("guidance_end")) << "s = 0 is w = 1";
  EXPECT_FALSE(sample::is_unconditional(options));
  options = {};
  options.solver = Solver::kStochasticHeun;
  EXPECT_FALSE(sample::idle(options).contains("last_step_size"));
  options.last_step = sample::LastStep::kNone;
  EXPECT_TRUE(sample::idle(options).contains("last_step_size"));
  EXPECT_FALSE(sample::idle(options).contains("diffusion"));
  options.solver = Solver::kDopri5;
  EXPECT_EQ(sample::idle(options).at("steps"), "dopri5 chooses its own steps");
  EXPECT_EQ(sample::idle(options).at("grid"), "dopri5 chooses its own steps");
  EXPECT_FALSE(sample::idle(options).contains("rtol"));
  options.guidance = 2;
  options.guide = sample::Guide::kInput;
  EXPECT_THAT(sample::idle(options).at("guidance_rescale"), testing::HasSubstr("guide input is one answer"));
}

// Every option decides something somewhere: each is without effect under some other options at most.
TEST(SampleOptions, EachHasAnEffectUnderSomeOthers) {
  std::set<std::string> idle_everywhere;
  SampleOptions declared;
  const auto fields = config::Fields::of(declared);
  for (const auto& field : fields.list()) idle_everywhere.insert(field.path);
  for (const auto solver : {Solver::kEuler, Solver::kEulerMaruyama, Solver::kDdim, Solver::kDdpm, Solver::kEdm,
                            Solver::kDopri5, Solver::kStochasticHeun}) {
    for (const auto grid : {sample::Grid::kShifted, sample::Grid::kKarras, sample::Grid::kList}) {
      SampleOptions options;
      options.guidance = 2;
      options.guidance_every = 2;
      options.inner_guidance = 2;
      options.clip = sample::Clip::kDynamic;
      options.solver = solver;
      options.grid = grid;
      const auto idle = sample::idle(options);
      std::erase_if(idle_everywhere, [&](const std::string& name) { return !idle.contains(name); });
    }
  }
  EXPECT_THAT(idle_everywhere, ElementsAre());
}

TEST(SampleOptions, WhatHasNoEffectAndWhatChangesOnlyTheSpeedIsNoDifference) {
  SampleOptions a, b;
  a.solver = b.solver = Solver::kDopri5;
  b.steps = 7;
  b.batch = 3;
  b.guidance_begin = 0.5;
  EXPECT_EQ(sample::effective(a), sample::effective(b));
  b.guidance = 2;
  EXPECT_FALSE(sample::effective(a) == sample::effective(b));
  b = a;
  b.seed = 1;
  EXPECT_FALSE(sample::effective(a) == sample::effective(b));
}

TEST(SampleOptions, AreSaidInAFewWords) {
  SampleOptions options;
  options.seed = 4;
  options.guidance = 1.5;
  EXPECT_EQ(to_text(options), "seed 4, guidance 1.5, 25 euler steps");
  options.guidance_begin = 0.3;
  options.grid = sample::Grid::kOwn;
  EXPECT_EQ(to_text(options), "seed 4, guidance 1.5 from 0.3 to 1, 25 euler steps, grid own");
  options.guidance = 1;
  options.solver = Solver::kDopri5;
  EXPECT_EQ(to_text(options), "seed 4, guidance 1, dopri5 steps");
}

TEST(SampleOptions, AreCheckedAgainstTheirDeclarationsAndAgainstEachOther) {
  const auto problem = [](auto&& change) {
    SampleOptions options;
    change(options);
    return test::message_of<UsageError>([&] { sample::check(options); });
  };
  EXPECT_NO_THROW(sample::check({}));
  EXPECT_THAT(problem([](auto& o) { o.steps = 0; }), HasSubstr("steps: expected a whole number from 1 to 10000"));
  EXPECT_THAT(problem([](auto& o) { o.guidance = -1; }), HasSubstr("guidance: expected"));
  EXPECT_THAT(problem([](auto& o) {
                o.guidance_begin = 0.8;
                o.guidance_end = 0.2;
              }),
              HasSubstr("begin 0.8 is after end 0.2"));
  EXPECT_THAT(problem([](auto& o) {
                o.solver = Solver::kEulerMaruyama;
                o.steps = 1;
              }),
              HasSubstr("at least 2"));
  EXPECT_THAT(problem([](auto& o) {
                o.solver = Solver::kDopri5;
                o.guidance_every = 2;
              }),
              HasSubstr("guidance_every: dopri5 tries steps again"));
  EXPECT_THAT(problem([](auto& o) {
                o.guide = sample::Guide::kOther;
                o.guidance = 0.5;
              }),
              HasSubstr("guide other: guidance below 1"));
  EXPECT_THAT(problem([](auto& o) { o.times = "0,1"; }), HasSubstr("times: needs grid list, got grid uniform"));
  for (const auto* times : {"", "0", "0,0.5", "0.1,1", "0,0.6,0.5,1", "0,x,1", "0,,1", "0,1,", "0,nan,1"}) {
    EXPECT_THAT(problem([&](auto& o) {
                  o.grid = sample::Grid::kList;
                  o.times = times;
                }),
                HasSubstr("times: expected numbers that rise from 0 to 1"))
        << times;
  }
}

TEST(SampleOptions, SayHowManyStepsAListHas) {
  SampleOptions options;
  options.grid = sample::Grid::kList;
  options.times = "0,0.25,0.5,1";
  options.solver = Solver::kHeun;
  EXPECT_EQ(steps_text(options), "3 heun steps");
}
