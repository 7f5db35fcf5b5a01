#include "sdg/sample/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  EXPECT_THAT(idle_names(options), ElementsAre("diffusion", "diffusion_norm", "last_step", "last_step_size"));
  options.guidance = 1;
  EXPECT_EQ(sample::idle(options).at("guidance_begin"), "guidance is 1 inside as outside");
  EXPECT_TRUE(sample::idle(options).contains("guidance_end"));
  options.guidance = 2;
  options.solver = Solver::kEulerMaruyama;
  EXPECT_THAT(idle_names(options), ElementsAre());
  options.last_step = sample::LastStep::kNone;
  EXPECT_THAT(idle_names(options), ElementsAre("last_step_size"));
  options.solver = Solver::kDopri5;
  EXPECT_EQ(sample::idle(options).at("steps"), "dopri5 chooses its own steps");
  EXPECT_EQ(sample::idle(options).at("grid"), "dopri5 chooses its own steps");
}

// Every option decides something somewhere: each is without effect under some other options at most.
TEST(SampleOptions, EachHasAnEffectWithSomeSolver) {
  SampleOptions declared;
  const auto fields = config::Fields::of(declared);
  for (const auto& field : fields.list()) {
    bool effect = false;
    for (const auto solver : {Solver::kEuler, Solver::kEulerMaruyama}) {
      SampleOptions options;
      options.guidance = 2;
      options.solver = solver;
      effect |= !sample::idle(options).contains(field.path);
    }
    EXPECT_TRUE(effect) << field.path;
  }
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
}
