#include "sdg/report/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "support/python.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

report::SvgChart chart() {
  report::SvgChart out;
  out.chart = {"a < b & \"c\"", "x", "y", {{"one", {1, 2, 3}, {4, NAN, 6}, {3, 4, 5}, {5, 6, 7}}}, false, false};
  return out;
}

}  // namespace

TEST(AnSvg, IsXmlWithEveryFinitePoint) {
  const auto text = report::svg({chart(), chart()});
  EXPECT_THAT(text, HasSubstr("a &lt; b &amp; &quot;c&quot;"));
  size_t circles = 0;
  for (size_t at = text.find("<circle"); at != std::string::npos; at = text.find("<circle", at + 1)) ++circles;
  EXPECT_EQ(circles, 4U);
  if (const auto lacks = test::python_lacks("xml"); !lacks.empty()) GTEST_SKIP() << lacks;
  const test::TemporaryFolder folder;
  test::write_text(folder / "a.svg", text);
  const auto parsed = test::run_python(
      "import sys, xml.etree.ElementTree as e\n"
      "root = e.parse(sys.argv[1]).getroot()\n"
      "print(root.tag, root.get('height'))\n",
      {(folder / "a.svg").string()});
  EXPECT_EQ(parsed.status, 0) << parsed.output;
  EXPECT_THAT(parsed.output, HasSubstr("}svg 600"));
}

TEST(AnSvg, NamesStandForNumbers) {
  auto named = chart();
  named.chart.series.front().x = {0, 1, 2};
  named.ticks = {"null", "step-50", "step-100"};
  EXPECT_THAT(report::svg({named}), HasSubstr(">step-50</text>"));
}

TEST(AnSvg, OfNothingIsRefused) {
  EXPECT_THROW(report::svg({}), Error);
  auto wrong = chart();
  wrong.chart.series.front().y.pop_back();
  EXPECT_THROW(report::svg({wrong}), Error);
  wrong.chart.series.clear();
  EXPECT_THROW(report::svg({wrong}), Error);
}
