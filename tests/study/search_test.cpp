// The search finds optima that can be worked out: of a made-up distance, and of guidance on a two-dimensional mixture.
#include "sdg/study/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/study/search_report.h"

using namespace sdg;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

namespace {

study::SearchAxis numbers(const std::string& name, const std::vector<double>& values, size_t start) {
  study::SearchAxis out;
  out.name = name;
  out.places = values;
  for (const double value : values) out.values.push_back(cat(value));
  out.start = start;
  out.rises_from = 0;
  return out;
}

Tensor noise(int64_t first, int64_t count) {
  return rng::normal({11, rng::Purpose::kTest, 0}, rng::consecutive(first, count), {2}).to(at::kDouble);
}

metrics::Gaussian standard() {
  return {at::zeros({2}, at::kDouble), at::eye(2, at::kDouble), 0, "", "", ""};
}

// Images N(m, s^2): to N(0, 1) the distance is |m|^2 + 2 (s - 1)^2, with the optimum where both functions vanish.
struct Bowl {
  std::vector<study::SearchAxis> axes{numbers("w", {0, 1, 2, 3, 4, 5, 6, 7}, 0),
                                      numbers("b", {0, 0.1, 0.2, 0.3, 0.4}, 0)};
  int64_t drawn = 0;
  double clock = 0, second_an_image = 0.01;

  // The best w rises with b, so that axes cannot be searched one by one from the start.
  static double mean(double w, double b) { return 0.25 * (w - 2 - 10 * b); }
  static double spread(double b) { return 1 + 1.5 * (b - 0.2); }
  study::DrawRows draw() {
    return [this](const study::SearchPoint& point, int64_t first, int64_t count) {
      EXPECT_EQ(first % 16, 0);
      EXPECT_EQ(count % 16, 0);
      drawn += count;
      clock += second_an_image * static_cast<double>(count);
      const double w = axes[0].places[point[0]], b = axes[1].places[point[1]];
      return spread(b) * noise(first, count) + mean(w, b);
    };
  }
};

study::SearchOptions images(int64_t budget) {
  study::SearchOptions out;
  out.budget.images = budget;
  out.resamples = 40;
  return out;
}

// Images of two clusters N(+-m, true^2 I) in the plane, drawn by a network that knows them blurred and is guided by one
// that knows them more blurred still, in 20 Euler steps. A deviation from its cluster's mean is multiplied in each step
// by 1 + h (a(t) - 1) / (1 - t), a from both denoisers, so the spread of what is drawn is a product, and the distance
// follows.
class Mixture {
 public:
  static constexpr double kPlace = 1.5, kTrue = 0.4, kBlurred = 0.65, kGuide = 1.0;
  static constexpr int64_t kSteps = 20;

  // E[x | x_t] = m + gain (x_t - t m) of N(m, r^2) on x_t = t x + (1 - t) eps.
  static double gain(double t, double r) { return t * r * r / (t * t * r * r + (1 - t) * (1 - t)); }
  static double strength(double w, double begin, double t) { return t >= begin ? w : 1; }

  static Tensor draw(double w, double begin, int64_t first, int64_t count) {
    auto x = noise(first, count);
    const auto sign = 1 - 2 * at::arange(first, first + count, at::kDouble).remainder(2).unsqueeze(1);
    const auto m = at::cat({kPlace * sign, at::zeros_like(sign)}, 1);
    for (int64_t step = 0; step < kSteps; ++step) {
      const double t = static_cast<double>(step) / kSteps, v = strength(w, begin, t);
      const auto own = m + gain(t, kBlurred) * (x - t * m), weak = m + gain(t, kGuide) * (x - t * m);
      const auto guided = weak + v * (own - weak);  // of the data, as of the velocity
      x = x + (guided - x) / ((1 - t) * kSteps);
    }
    return x;
  }
  static double exact(double w, double begin) {
    double spread = 1;
    for (int64_t step = 0; step < kSteps; ++step) {
      const double t = static_cast<double>(step) / kSteps, v = strength(w, begin, t);
      const double a = v * gain(t, kBlurred) + (1 - v) * gain(t, kGuide);
      spread *= 1 + (a - 1) / ((1 - t) * kSteps);
    }
    const auto along = [](double r) { return std::sqrt(kPlace * kPlace + r * r); };
    return std::pow(along(spread) - along(kTrue), 2) + std::pow(spread - kTrue, 2);
  }
  // Mean 0; along the first axis place^2 + true^2, along the second true^2.
  static metrics::Gaussian truth() {
    auto out = standard();
    out.sigma = at::tensor({kPlace * kPlace + kTrue * kTrue, 0.0, 0.0, kTrue * kTrue}, at::kDouble).view({2, 2});
    return out;
  }
};

}  // namespace

TEST(Search, FindsTheOptimumOfABowlWithinItsBudget) {
  Bowl bowl;
  const auto options = images(20000);
  const auto result = study::search(bowl.axes, bowl.draw(), standard(), options);
  EXPECT_THAT(result.best, ElementsAre(4U, 2U)) << study::search_table(bowl.axes, result, "FD");
  EXPECT_LE(bowl.drawn, 20000);
  EXPECT_EQ(result.images, bowl.drawn);
  EXPECT_GT(bowl.drawn, 10000) << "most of the budget is for use";
  ASSERT_TRUE(result.proof && result.proof->difference);
  EXPECT_LT(result.proof->difference->high, 0) << "clearly better than the start";
  EXPECT_FALSE(result.within_noise());
  EXPECT_TRUE(result.at_edge.empty());
  // At the optimum the images are the reference's: what is left is that of so many images.
  EXPECT_LT(result.proof->best.value, 0.02);
  std::set<study::SearchPoint> each;
  for (const auto& point : result.points) each.insert(point.point);
  EXPECT_EQ(each.size(), result.points.size()) << "each point once";
  EXPECT_GE(result.points.size(), 8U + 4U * 3U);
}

TEST(Search, KeepsABudgetOfSecondsAndOfFewImages) {
  for (const double seconds : {20.0, 100.0}) {
    Bowl bowl;
    auto options = images(0);
    options.budget.seconds = seconds;
    options.seconds = [&] { return bowl.clock; };
    const auto result = study::search(bowl.axes, bowl.draw(), standard(), options);
    EXPECT_LE(bowl.clock, seconds);
    EXPECT_GT(bowl.clock, 0.5 * seconds);
    EXPECT_EQ(result.seconds, bowl.clock);
    if (seconds > 50) EXPECT_THAT(result.best, ElementsAre(4U, 2U));
  }
  Bowl bowl;
  const auto few = study::search(bowl.axes, bowl.draw(), standard(), images(700));
  EXPECT_LE(bowl.drawn, 700);
  EXPECT_THAT(few.left_out, ElementsAre("b"));
  EXPECT_TRUE(few.proof.has_value()) << "what is left is for the proof";
  EXPECT_THAT(study::search_warnings(bowl.axes, few), ::testing::Contains(HasSubstr("too small to search b")));
  EXPECT_THROW(study::search(bowl.axes, bowl.draw(), standard(), images(64)), Error);
  EXPECT_THROW(study::search({}, bowl.draw(), standard(), images(640)), Error);
}

TEST(Search, IsTheSameEachTime) {
  Bowl a, b;
  const auto first = study::search(a.axes, a.draw(), standard(), images(6000));
  const auto second = study::search(b.axes, b.draw(), standard(), images(6000));
  EXPECT_EQ(first.best, second.best);
  ASSERT_EQ(first.points.size(), second.points.size());
  for (size_t i = 0; i < first.points.size(); ++i)
    EXPECT_EQ(first.points[i].distance.value, second.points[i].distance.value);
  EXPECT_EQ(first.proof->best.value, second.proof->best.value);
}

TEST(Search, SaysThatTheBestIsAtTheEdgeOrNoBetterThanTheDefault) {
  Bowl bowl;
  bowl.axes[0] = numbers("w", {0, 1, 2}, 2);
  const auto edge = study::search(bowl.axes, bowl.draw(), standard(), images(8000));
  EXPECT_THAT(edge.at_edge, ::testing::Contains("w"));
  EXPECT_THAT(study::search_warnings(bowl.axes, edge), ::testing::Contains(HasSubstr("the best w, 2, is at the edge")));
  // Two values that hardly differ: which of them is chance, and the proof says so.
  const auto flat = [](const study::SearchPoint& point, int64_t first, int64_t count) {
    return noise(first, count) + 1e-3 * noise(first + 1000000 * static_cast<int64_t>(point[0] + 1), count);
  };
  const std::vector<study::SearchAxis> two{numbers("w", {0, 1, 2, 3}, 0)};
  const auto result = study::search(two, flat, standard(), images(4000));
  if (result.best != result.start) EXPECT_TRUE(result.within_noise());
}

TEST(Search, DrawsPointsThatAreOneOnce) {
  Bowl bowl;
  auto options = images(8000);
  options.canonical = [](study::SearchPoint point) {
    if (point[0] == 0) point[1] = 0;  // as an interval at strength 1
    return point;
  };
  const auto result = study::search(bowl.axes, bowl.draw(), standard(), options);
  for (const auto& each : result.points) EXPECT_TRUE(each.point[0] > 0 || each.point[1] == 0);
}

TEST(Search, FindsTheStrengthOfGuidanceOnAMixture) {
  const std::vector<double> strengths{1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4}, begins{0, 0.2, 0.4, 0.6};
  const metrics::FrechetTo to(Mixture::truth());
  for (const double w : {1.0, 2.0, 3.0})
    EXPECT_NEAR(to(metrics::gaussian_of_rows(Mixture::draw(w, 0.4, 0, 16384))), Mixture::exact(w, 0.4), 2e-3) << w;
  double best = 1;
  for (const double w : strengths)
    for (const double begin : begins) best = std::min(best, Mixture::exact(w, begin));

  for (const bool both : {false, true}) {
    std::vector<study::SearchAxis> axes{numbers("guidance", strengths, 0)};
    if (both) axes.push_back(numbers("begin", begins, 0));
    int64_t drawn = 0;
    const auto result = study::search(
        axes,
        [&](const study::SearchPoint& point, int64_t first, int64_t count) {
          drawn += count;
          return Mixture::draw(strengths[point[0]], both ? begins[point[1]] : 0, first, count);
        },
        Mixture::truth(), images(8000));
    const double found = Mixture::exact(strengths[result.best[0]], both ? begins[result.best[1]] : 0);
    std::printf(
        "[ mixture ] %s: exact distance %.5f of what was found, %.5f of the best there is, %.5f of the default, "
        "%lld images\n",
        study::point_text(axes, result.best).c_str(), found, best, Mixture::exact(1, 0), static_cast<long long>(drawn));
    EXPECT_LE(drawn, 8000);
    if (!both) EXPECT_EQ(strengths[result.best[0]], 2);  // 0.0002 against 0.0013 and 0.0089 beside it
    EXPECT_LT(found, best + 0.001);
    EXPECT_FALSE(result.within_noise());
  }
}

TEST(SearchReport, ShowsEveryPoint) {
  Bowl bowl;
  const auto result = study::search(bowl.axes, bowl.draw(), standard(), images(8000));
  const auto table = study::search_table(bowl.axes, result, "FD-test");
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), static_cast<int64_t>(result.points.size()) + 2);
  EXPECT_THAT(table, HasSubstr("| best |"));
  const auto charts = study::search_charts(bowl.axes, result, "FD-test");
  ASSERT_EQ(charts.size(), 2U);
  EXPECT_EQ(charts[0].chart.series.front().x.size(), 8U) << "the whole curve from the default";
  EXPECT_EQ(charts[1].chart.series.front().x.size(), 5U);
  const auto svg = report::svg(charts);
  EXPECT_THAT(svg, HasSubstr("FD-test over w"));
}
