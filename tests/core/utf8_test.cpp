#include "sdg/core/utf8.h"

#include <gtest/gtest.h>

using sdg::from_utf8;
using sdg::to_utf8;

TEST(Utf8, NamesThatAreUtf8StayAsTheyAre) {
  for (const std::string name : {"", "cat/1.png", "größe", "\xE6\x97\xA5\xE6\x9C\xAC", "\xF0\x9F\x90\x88", "a\\b",
                                 "C:\\xyz", "\\xe9", "\\x4", "\\"}) {
    EXPECT_EQ(to_utf8(name), name);
    EXPECT_EQ(from_utf8(name), name);
  }
}

TEST(Utf8, OtherBytesAreWrittenInHexadecimal) {
  EXPECT_EQ(to_utf8("caf\xE9/1.png"), "caf\\xE9/1.png");
  EXPECT_EQ(to_utf8("\xFF\xFE"), "\\xFF\\xFE");
  EXPECT_EQ(to_utf8("\xC0\xAF"), "\\xC0\\xAF") << "an overlong form";
  EXPECT_EQ(to_utf8("\xED\xA0\x80"), "\\xED\\xA0\\x80") << "a surrogate";
  EXPECT_EQ(to_utf8("\xF4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80") << "beyond U+10FFFF";
  EXPECT_EQ(to_utf8("\xE6\x97"), "\\xE6\\x97") << "cut short";
  EXPECT_EQ(to_utf8("already \\xE9"), "already \\x5CxE9") << "or it would come back as another name";
}

TEST(Utf8, EveryNameComesBack) {
  // All texts of five letters out of those that matter.
  const std::string letters = "\\xE9C5\xE9\xC3\xA9";
  const auto count = letters.size();
  for (size_t i = 0; i < count * count * count * count * count; ++i) {
    std::string name;
    for (size_t rest = i, k = 0; k < 5; ++k, rest /= count) name += letters[rest % count];
    ASSERT_EQ(from_utf8(to_utf8(name)), name);
    ASSERT_EQ(from_utf8(to_utf8(to_utf8(name))), to_utf8(name)) << "twice, too";
  }
}
