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
  out.solver = "euler";
  out.steps = 25;
  out.guidance = guidance;
  out.count = 100;
  out.metric = "FD-digits";
  out.value = value;
  return out;
}
const std::vector<SweepRow> kRows{row("online", "a", 1, 16), row("online", "a", 2, 6), row("online", "b", 1, 18),
                                  row("online", "b", 2, 8), row("none", "c", 1, 25)};
}  // namespace

TEST(Sweep, ARowSurvivesItsLine) {
  auto each = row("on \"line\"", "runs/a/last", 1.5, 5.25);
  each.guidance_begin = 0.25;
  each.seed = 7;
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
  b.guidance_end = 0.5;
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
  rows[1].steps = 5;
  chart = sweep_chart(rows);
  EXPECT_TRUE(chart.log_x);
  EXPECT_EQ(chart.x_label, "solver steps");
  EXPECT_NO_THROW(report::draw(chart));
}
