#include "sdg/core/whole_number.h"

#include <gtest/gtest.h>

using sdg::whole_number;

TEST(WholeNumber, TakesAllOfATextOrNothing) {
  EXPECT_EQ(whole_number("0"), 0);
  EXPECT_EQ(whole_number("-12"), -12);
  EXPECT_EQ(whole_number("9223372036854775807"), INT64_MAX);
  for (const auto* text : {"", "-", "+1", " 1", "1 ", "1.5", "0x1f", "9223372036854775808", "1_000"})
    EXPECT_EQ(whole_number(text), std::nullopt) << text;
}
