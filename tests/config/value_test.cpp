#include "sdg/config/value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "config/sample_options.h"

namespace sdg::config {
namespace {

class ValueTest : public testing::Test {
 protected:
  const Field& field(const std::string& path) const { return *fields_.find(path); }
  template <class T>
  T parsed(const std::string& path, const std::string& text) const {
    return std::get<T>(parse_value(field(path), text));
  }
  std::string error(const std::string& path, const std::string& text) const {
    return test::usage_error([&] { parse_value(field(path), text); });
  }
  test::RunOptions options_;
  Fields fields_ = Fields::of(options_);
};

TEST_F(ValueTest, TruthHasSixSpellings) {
  for (const auto* text : {"true", "yes", "on", "True", "YES"})
    EXPECT_TRUE(parsed<bool>("train.ema.warmup", text)) << text;
  for (const auto* text : {"false", "no", "off", "False", "OFF"})
    EXPECT_FALSE(parsed<bool>("train.ema.warmup", text)) << text;
  EXPECT_EQ(error("train.ema.warmup", "1"), "train.ema.warmup: expected true or false, got \"1\"");
}

TEST_F(ValueTest, WholeNumbersTakeUnderscoresAndExactExponents) {
  EXPECT_EQ(parsed<int64_t>("train.steps", "42"), 42);
  EXPECT_EQ(parsed<int64_t>("train.steps", " +42 "), 42);
  EXPECT_EQ(parsed<int64_t>("train.steps", "1_000_000"), 1000000);
  EXPECT_EQ(parsed<int64_t>("train.steps", "1e6"), 1000000);
  EXPECT_EQ(parsed<int64_t>("train.steps", "1.5e3"), 1500);
  EXPECT_EQ(parsed<int64_t>("data.offset", "-7"), -7);
  EXPECT_EQ(parsed<int64_t>("data.offset", "9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(parsed<int64_t>("data.offset", "-9223372036854775808"), std::numeric_limits<int64_t>::min());
}

TEST_F(ValueTest, WhatIsNoWholeNumberIsRefused) {
  for (const auto* text : {"", "abc", "5.5", "1e-3", "1__0", "_1", "1_", "0x10", "9223372036854775808", "1e19", "5 5",
                           "+-5", "++5", "nan", "inf", "true", "5,6"}) {
    EXPECT_THAT(error("data.offset", text),
                ::testing::StartsWith(std::string("data.offset: expected a whole number, got \"") + text + "\""));
  }
}

TEST_F(ValueTest, NumbersMustBeFinite) {
  EXPECT_EQ(parsed<double>("data.shift", "2.5e-4"), 2.5e-4);
  EXPECT_EQ(parsed<double>("data.shift", ".5"), 0.5);
  EXPECT_EQ(parsed<double>("data.shift", "-1_000.25"), -1000.25);
  for (const auto* text : {"", "abc", "nan", "inf", "-inf", ".inf", ".nan", "1e999", "0x1p3", "1.2.3", "1,5"}) {
    EXPECT_EQ(error("data.shift", text), std::string("data.shift: expected a number, got \"") + text + "\"");
  }
}

TEST_F(ValueTest, ListsTakeBracketsOrCommas) {
  using List = std::vector<int64_t>;
  EXPECT_EQ(parsed<List>("data.sides", "[1, 2]"), (List{1, 2}));
  EXPECT_EQ(parsed<List>("data.sides", "1,2, 3"), (List{1, 2, 3}));
  EXPECT_EQ(parsed<List>("data.sides", "7"), (List{7}));
  EXPECT_EQ(parsed<List>("data.sides", "[ ]"), List{});
  for (const auto* text : {"", "[", "[1", "1]", "[1,]", "1,,2", "[[1]]", "a"}) {
    EXPECT_EQ(
        error("data.sides", text),
        std::string("data.sides: expected a list of whole numbers, each of at least 1 (pixels), got \"") + text + "\"");
  }
  EXPECT_EQ(error("data.sides", "1,0"),
            "data.sides: expected a list of whole numbers, each of at least 1 (pixels), got [1, 0]");
}

TEST_F(ValueTest, MessagesSayRangeUnitAndWhatCame) {
  EXPECT_EQ(error("train.steps", "abc"), "train.steps: expected a whole number of at least 1 (steps), got \"abc\"");
  EXPECT_EQ(error("train.steps", "18446744073709551615"),
            "train.steps: expected a whole number of at least 1 (steps), got \"18446744073709551615\"; "
            "whole numbers end at 9223372036854775807");
  EXPECT_EQ(error("train.steps", "0"), "train.steps: expected a whole number of at least 1 (steps), got 0");
  EXPECT_EQ(error("train.batch", "65537"), "train.batch: expected a whole number from 1 to 65536 (images), got 65537");
  EXPECT_EQ(error("train.ema.decay", "1.5"), "train.ema.decay: expected a number from 0 to 1, got 1.5");
  EXPECT_EQ(error("data.format", "flder"),
            "data.format: expected one of auto, folder, tar, tensors, got \"flder\"; did you mean folder?");
  EXPECT_EQ(error("data.format", "zip"), "data.format: expected one of auto, folder, tar, tensors, got \"zip\"");
}

TEST_F(ValueTest, BoundsBelongToTheRange) {
  EXPECT_EQ(parsed<int64_t>("train.batch", "1"), 1);
  EXPECT_EQ(parsed<int64_t>("train.batch", "65536"), 65536);
  EXPECT_EQ(parsed<double>("train.ema.decay", "1"), 1);
}

TEST_F(ValueTest, BoundsAreExactForLargeWholeNumbers) {
  int64_t number = 0;
  Fields fields;
  fields("number", &number, {.help = "", .max = 0x1p53});
  EXPECT_TRUE(try_parse(*fields.find("number"), "9007199254740992").problem.empty());
  EXPECT_FALSE(
      try_parse(*fields.find("number"), "9007199254740993").problem.empty());  // equal to the bound as a double
}

TEST_F(ValueTest, ParsingLeavesTheFieldAlone) {
  parse_value(field("train.steps"), "5");
  EXPECT_EQ(options_.train.steps, 1500);
  assign(field("train.steps"), parse_value(field("train.steps"), "5"));
  EXPECT_EQ(options_.train.steps, 5);
  EXPECT_TRUE(is_changed(field("train.steps")));
  EXPECT_FALSE(is_changed(field("train.batch")));
}

TEST_F(ValueTest, AValueOfAnotherTypeIsNotAssigned) {
  EXPECT_THROW(assign(field("train.steps"), Value(2.5)), Error);
}

TEST_F(ValueTest, ValuesSetByCodeAreCheckedOnRequest) {
  EXPECT_NO_THROW(check_values(fields_));
  options_.train.steps = 0;
  try {
    check_values(fields_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "train.steps: expected a whole number of at least 1 (steps), got 0");
  }
  options_.train.steps = 1;
  options_.data.shift = std::nan("");
  EXPECT_THROW(check_values(fields_), Error);
}

TEST(ToText, NumbersTakeTheirShortestPlainForm) {
  EXPECT_EQ(to_text(0.0), "0");
  EXPECT_EQ(to_text(-0.0), "-0");
  EXPECT_EQ(to_text(0.1), "0.1");
  EXPECT_EQ(to_text(2e-4), "0.0002");
  EXPECT_EQ(to_text(1e-5), "1e-5");
  EXPECT_EQ(to_text(1.0), "1");
  EXPECT_EQ(to_text(1e6), "1000000");
  EXPECT_EQ(to_text(1e20), "1e20");
  EXPECT_EQ(to_text(2.5e-300), "2.5e-300");
  EXPECT_EQ(to_text(true), "true");
  EXPECT_EQ(to_text(int64_t{-3}), "-3");
  EXPECT_EQ(to_text(std::vector<int64_t>{1, 2}), "[1, 2]");
  EXPECT_EQ(to_text(std::vector<int64_t>{}), "[]");
}

TEST(ToText, StringsAreQuotedWhereYamlWouldReadSomethingElse) {
  for (const auto* plain : {"auto", "uvit-tiny/2", "data/images.tar", "../shared/x", "/data", "_a+b"}) {
    EXPECT_EQ(to_text(std::string(plain)), plain);
  }
  for (const auto* other :
       {"", "true", "No", "null", "~", "5", "-1", ".inf", "a b", "a: b", "a,b", "#x", "...", "ü", "1e5"}) {
    EXPECT_EQ(to_text(std::string(other)), std::string("\"") + other + "\"");
  }
  EXPECT_EQ(to_text(std::string("a\"\\\n\t\x01")), R"("a\"\\\n\t\x01")");
}

TEST(ToText, EveryDoubleReadsBackExactly) {
  double slot = 0;
  Fields fields;
  fields("x", &slot, {.help = ""});
  std::mt19937_64 engine(1);  // NOLINT(bugprone-random-generator-seed): the same each time
  for (int i = 0; i < 20000; ++i) {
    const auto bits = engine();
    const auto number = std::bit_cast<double>(bits);
    if (!std::isfinite(number)) continue;
    const double back = std::get<double>(parse_value(fields.list().front(), to_text(number)));
    EXPECT_EQ(std::bit_cast<uint64_t>(back), bits) << to_text(number);
  }
}

TEST(InQuotes, LongTextIsCutBetweenCharacters) {
  EXPECT_EQ(in_quotes("a\nb"), "\"a\\nb\"");
  EXPECT_EQ(in_quotes(std::string(100, 'a')), "\"" + std::string(60, 'a') + "…\"");
  const std::string umlauts = in_quotes("a" + std::string(59, 'b') + "ü");  // the ü is bytes 60 and 61
  EXPECT_EQ(umlauts, "\"a" + std::string(59, 'b') + "…\"");
  EXPECT_EQ(in_quotes(std::string(59, 'b') + "üc"), "\"" + std::string(59, 'b') + "…\"");
}

TEST(Value, AsGivenReadsBackAsTheValueItIs) {
  struct Options {
    std::string text = "null";
    double number = 0.1;
    bool flag = true;
    void visit(Fields& fields) {
      fields("text", text, {.help = ""});
      fields("number", number, {.help = ""});
      fields("flag", flag, {.help = ""});
    }
  } options;
  for (const std::string text : {"null", "true", "1e3", "", " a: b", "\"null\"", "plain"}) {
    options.text = text;
    for (const auto& field : Fields::of(options).list())
      EXPECT_EQ(parse_value(field, as_given(current_value(field))), current_value(field)) << field.path << " " << text;
  }
}

}  // namespace
}  // namespace sdg::config
