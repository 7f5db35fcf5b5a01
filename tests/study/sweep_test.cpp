#include "sdg/study/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/core/error.h"

using namespace sdg;
using namespace sdg::study;
using ::testing::HasSubstr;

namespace {
SweepRow row(const std::string& label, const std::string& checkpoint, double guidance, double value) {
  SweepRow out;
  out.label = label;
  out.checkpoint = checkpoint;
  out.step = 10;
  out.sample.steps = 25;
  out.sample.guidance = guidance;
  out.sample.count = 100;
  out.metric = "FD-digits";
  out.value = value;
  return out;
}
const std::vector<SweepRow> kRows{row("online", "a", 1, 16), row("online", "a", 2, 6), row("online", "b", 1, 18),
                                  row("online", "b", 2, 8), row("none", "c", 1, 25)};
}  // namespace

TEST(Sweep, ARowSurvivesItsLine) {
  auto each = row("on \"line\"", "runs/a/last", 1.5, 5.25);
  each.sample.guidance_begin = 0.25;
  each.sample.seed = 7;
  EXPECT_EQ(parse_sweep_row(to_json(each), "x"), each);
  EXPECT_THROW(parse_sweep_row("{\"label\": 1}", "points.jsonl:3"), Error);
  EXPECT_THROW(parse_sweep_row("{", "points.jsonl:3"), Error);
}

TEST(Sweep, APointIsKnownByItsContentAndSettings) {
  auto a = row("x", "c", 1, 3), b = row("y", "d", 1, 4);
  EXPECT_FALSE(same_point(a, b));  // lines of earlier versions do not say what they are of
  a.content = b.content = "abc";
  EXPECT_TRUE(same_point(a, b));
  b.content = "abd";
  EXPECT_FALSE(same_point(a, b));
  b = a;
  b.sample.guidance = 2;
  EXPECT_FALSE(same_point(a, b));
}

TEST(Sweep, RepetitionsGiveMeanAndRange) {
  const auto groups = group_repetitions(kRows);
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_DOUBLE_EQ(groups[0].setting.value, 17);
  EXPECT_DOUBLE_EQ(groups[0].low, 16);
  EXPECT_DOUBLE_EQ(groups[0].high, 18);
  EXPECT_EQ(groups[0].repetitions, 2);
  EXPECT_EQ(groups[2].repetitions, 1);
}

TEST(Sweep, TheTableMarksTheBestOfEachRowAndLeavesGaps) {
  const auto table = sweep_table(kRows);
  EXPECT_THAT(table, HasSubstr("| FD-digits | guidance 1 | guidance 2 |"));
  EXPECT_THAT(table, HasSubstr("| online | 17.00 (16.00–18.00) | **7.00** (6.00–8.00) |"));
  EXPECT_THAT(table, HasSubstr("| none | **25.00** | – |"));
}

TEST(Sweep, NamesTheBestSetting) {
  EXPECT_EQ(sweep_best(kRows), "best: online at guidance 2, 25 euler steps, FD-digits 7.00 (mean of 2)");
}

TEST(Sweep, TheChartHasALineALabelAndDrawsOverWhatVaries) {
  auto chart = sweep_chart(kRows);
  ASSERT_EQ(chart.series.size(), 2U);
  EXPECT_EQ(chart.series[0].x, (std::vector<double>{1, 2}));
  EXPECT_EQ(chart.series[0].y, (std::vector<double>{17, 7}));
  auto rows = kRows;
  rows[1].sample.steps = 5;
  chart = sweep_chart(rows);
  EXPECT_TRUE(chart.log_x);
  EXPECT_EQ(chart.x_label, "solver steps");
  EXPECT_NO_THROW(report::draw(chart));
}

TEST(Sweep, OptionsWithoutEffectAreNoPartOfAPoint) {
  auto a = row("x", "c", 1, 3);
  a.content = "abc";
  auto b = a;
  b.sample.guidance_begin = 0.5;  // guidance is 1
  EXPECT_TRUE(same_point(a, b));
  a.sample.guidance = b.sample.guidance = 2;
  EXPECT_FALSE(same_point(a, b));
  b = a;
  a.sample.solver = b.sample.solver = sample::Solver::kDopri5;
  b.sample.steps = 50;
  EXPECT_TRUE(same_point(a, b));
  EXPECT_THAT(to_json(a), ::testing::Not(HasSubstr("\"steps\"")));
}

TEST(Sweep, ReadsTheLinesOfEarlierVersions) {
  const auto read = parse_sweep_row(
      R"({"label":"tiny","checkpoint":"run/last","step":6,"solver":"dopri5","grid":"own","steps":50,"guidance":1.5,)"
      R"("guidance_begin":0.25,"guidance_end":1.0,"count":32,"seed":3,"metric":"FD-digits","reference":"",)"
      R"("content":"0123","value":4.5})",
      "points.jsonl:1");
  EXPECT_EQ(read.sample.solver, sample::Solver::kDopri5);
  EXPECT_EQ(read.sample.grid, sample::Grid::kOwn);
  EXPECT_EQ(read.sample.guidance_begin, 0.25);
  EXPECT_EQ(read.sample.seed, 3);
  auto today = read;
  today.sample.steps = 25;
  EXPECT_TRUE(same_point(read, today));
  EXPECT_THROW(parse_sweep_row(R"({"label":"a","checkpoint":"b","step":1,"solver":"rk45"})", "points.jsonl:3"), Error);
}

// Guidance 1 is measured once, whatever the interval; its value stands in the row of every interval.
TEST(Sweep, APointStandsInEveryRowThatItBelongsTo) {
  auto plain = row("online", "a", 1, 16), whole = row("online", "a", 2, 6), part = row("online", "a", 2, 5);
  part.sample.guidance_begin = 0.25;
  const auto table = sweep_table({plain, whole, part});
  EXPECT_THAT(table, HasSubstr("| online, guided 0 to 1 | 16.00 | **6.00** |"));
  EXPECT_THAT(table, HasSubstr("| online, guided 0.25 to 1 | 16.00 | **5.00** |"));
  EXPECT_EQ(sweep_chart({plain, whole, part}).series.at(1).y, (std::vector<double>{16, 5}));
  EXPECT_THAT(sweep_table({plain, part}), HasSubstr("| online | 16.00 | **5.00** |"));
}

TEST(Sweep, ASolverThatChoosesItsOwnStepsHasNoStepsToShow) {
  auto few = row("online", "a", 1, 16), many = row("online", "a", 1, 12), own = row("online", "a", 1, 11);
  few.sample.steps = 5;
  own.sample.solver = sample::Solver::kDopri5;
  own.sample.steps = 7;
  const auto table = sweep_table({few, many, own});
  EXPECT_THAT(table, HasSubstr("| online, dopri5 | 11.00 |"));
  EXPECT_THAT(table, HasSubstr("| online, euler, 5 steps | 16.00 |"));
  const auto chart = sweep_chart({few, many, own});
  EXPECT_EQ(chart.series.at(1).x, (std::vector<double>{5, 25}));
  EXPECT_EQ(chart.series.at(1).y, (std::vector<double>{11, 11}));
  EXPECT_EQ(sweep_best({few, many, own}), "best: online, dopri5 at guidance 1, dopri5 steps, FD-digits 11.00");
}

TEST(Sweep, AnyOptionIsNamedWhereItVaries) {
  auto a = row("online", "a", 1, 16), b = a;
  a.sample.solver = b.sample.solver = sample::Solver::kEulerMaruyama;
  b.sample.diffusion = sample::Diffusion::kDecreasing;
  EXPECT_THAT(sweep_table({a, b}), HasSubstr("| online, diffusion decreasing |"));
  EXPECT_EQ(parse_sweep_row(to_json(b), "x"), b);
}
