#include "sdg/report/html_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sdg/image/image.h"

using namespace sdg;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Base64, GivesTheVectorsOfTheStandard) {
  const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) EXPECT_EQ(report::base64(plain), coded);
  EXPECT_EQ(report::base64(std::string("\xff\xfe\x00\x80", 4)), "//4AgA==");
}

TEST(HtmlPage, EscapesTextAndHoldsItsPictures) {
  report::HtmlPage page("a < b & \"c\"");
  page.heading("<script>");
  const auto image = at::arange(12, at::kByte).view({3, 2, 2});
  page.picture(image, "four pixels");
  page.table({{"name", "value"}, {"x", "1 > 0"}});
  const auto text = page.text();
  EXPECT_THAT(text, HasSubstr("<title>a &lt; b &amp; &quot;c&quot;</title>"));
  EXPECT_THAT(text, Not(HasSubstr("<script>")));
  EXPECT_THAT(text, HasSubstr("<td>1 &gt; 0</td>"));
  EXPECT_THAT(text, HasSubstr("data:image/png;base64," + report::base64(image::encode_png(image))));
  EXPECT_THAT(text, Not(HasSubstr("http")));  // opens without a network
}
