#include "sdg/report/chart.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "report/canvas.h"
#include "sdg/core/error.h"

using namespace sdg;
using namespace sdg::report;

namespace {
// How many pixels of the picture have exactly this colour.
int64_t count(const Tensor& image, const std::vector<uint8_t>& colour) {
  auto same = at::ones({image.size(1), image.size(2)}, at::kBool);
  for (int64_t c = 0; c < 3; ++c) same &= image[c].eq(static_cast<int64_t>(colour[static_cast<size_t>(c)]));
  return same.sum().item<int64_t>();
}
// Middle of the pixels of this colour, {x, y}.
std::pair<double, double> middle(const Tensor& image, const std::vector<uint8_t>& colour, int64_t x_limit) {
  auto same = at::ones({image.size(1), image.size(2)}, at::kBool);
  for (int64_t c = 0; c < 3; ++c) same &= image[c].eq(static_cast<int64_t>(colour[static_cast<size_t>(c)]));
  const auto places = same.slice(1, 0, x_limit).nonzero().to(at::kDouble);
  return {places.select(1, 1).mean().item<double>(), places.select(1, 0).mean().item<double>()};
}
}  // namespace

TEST(Ticks, AreRoundAndInside) {
  EXPECT_EQ(round_ticks(0, 10, 5), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  const auto ticks = round_ticks(-0.13, 0.42, 6);
  EXPECT_GE(ticks.front(), -0.13);
  EXPECT_LE(ticks.back(), 0.42);
  for (size_t i = 1; i < ticks.size(); ++i) EXPECT_NEAR(ticks[i] - ticks[i - 1], 0.1, 1e-12);
  EXPECT_THROW(round_ticks(1, 1, 5), Error);
}

TEST(Canvas, FillsWhatItIsToldAndCutsTheRest) {
  Canvas canvas(10, 8);
  canvas.fill(6, 5, 100, 100, {1, 2, 3});
  EXPECT_EQ(count(canvas.image(), {1, 2, 3}), 4 * 3);
  EXPECT_EQ(canvas.image().sizes(), (std::vector<int64_t>{3, 8, 10}));
}

TEST(Canvas, TextLeavesInkAndWiderTextIsWider) {
  Canvas canvas(100, 20);
  canvas.text(2, 2, "FD 5.9 \xC3\xA9", {9, 9, 9});
  EXPECT_GT(count(canvas.image(), {9, 9, 9}), 30);
  EXPECT_GT(Canvas::text_width("wider"), Canvas::text_width("wid"));
  EXPECT_EQ(Canvas::text_width("wider", 2), 2 * Canvas::text_width("wider"));
}

TEST(LineChart, ALargerValueStandsHigherAndALaterOneFurtherRight) {
  LineChart chart{"t", "x", "y", {{"a", {1, 2}, {0, 0}, {}, {}}, {"b", {2, 3}, {5, 5}, {}, {}}}, false, false};
  const auto image = draw(chart);
  const auto a = middle(image, distinct_colour(0), 640), b = middle(image, distinct_colour(1), 640);
  EXPECT_LT(a.first, b.first);
  EXPECT_GT(a.second, b.second);
}

TEST(LineChart, LeavesOutWhatIsNotFiniteAndRefusesNothing) {
  LineChart chart{"t", "x", "y", {{"a", {1, 2, 3}, {1, std::nan(""), 2}, {}, {}}}, false, false};
  EXPECT_EQ(draw(chart).sizes(), (std::vector<int64_t>{3, 440, 720}));
  chart.series[0].y = {std::nan(""), std::nan(""), std::nan("")};
  EXPECT_THROW(draw(chart), Error);
  chart.series[0].y = {1};
  EXPECT_THROW(draw(chart), Error);
}

TEST(LineChart, OnALogAxisEqualRatiosAreEqualDistances) {
  LineChart chart{"t", "x", "y", {}, true, false};
  for (const double x : {1.0, 10.0, 100.0}) chart.series.push_back({"s", {x}, {1}, {}, {}});
  const auto image = draw(chart);
  std::vector<double> places;
  for (int64_t i = 0; i < 3; ++i) places.push_back(middle(image, distinct_colour(i), 660).first);
  EXPECT_NEAR(places[1] - places[0], places[2] - places[1], 1.5);
}

TEST(HeatMap, DarkensWithTheValueAndLeavesGapsGrey) {
  const HeatMap map{"t", "x", "y", {"a", "b", "c"}, {"r"}, {{0, 1, std::numeric_limits<double>::quiet_NaN()}}};
  const auto image = draw(map);
  EXPECT_GT(count(image, {255, 250, 205}), 1000);
  EXPECT_GT(count(image, {52, 44, 110}), 1000);
  EXPECT_GT(count(image, {205, 205, 205}), 1000);
  EXPECT_THROW(draw(HeatMap{"t", "x", "y", {"a", "b"}, {"r"}, {{1}}}), Error);
}

TEST(BarChart, ABarTwiceAsHighHasTwiceTheInk) {
  const auto one = count(draw(BarChart{"t", "x", "y", {1, 0, 2}}), distinct_colour(0));
  const auto two = count(draw(BarChart{"t", "x", "y", {2, 0, 2}}), distinct_colour(0));
  EXPECT_NEAR(static_cast<double>(two) / static_cast<double>(one), 4.0 / 3.0, 0.03);
}
