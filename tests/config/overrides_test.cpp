#include "sdg/config/overrides.h"

#include <gtest/gtest.h>

#include "config/sample_options.h"

namespace sdg::config {
namespace {

class OverrideTest : public testing::Test {
 protected:
  void set(const std::string& text) { apply_override(Fields::of(options_), text); }
  std::string error(const std::string& text) {
    return test::usage_error([&] { set(text); });
  }
  test::RunOptions options_;
};

TEST_F(OverrideTest, SetsOptionsOfEveryType) {
  set("seed=3");
  set("train.lr=1e-3");
  set("train.ema.warmup=no");
  set("data.sides=1,2");
  set(" data.path = a=b.npz ");
  EXPECT_EQ(options_.seed, 3);
  EXPECT_EQ(options_.train.lr, 1e-3);
  EXPECT_FALSE(options_.train.ema.warmup);
  EXPECT_EQ(options_.data.sides, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(options_.data.path, "a=b.npz");
  set("data.path=");
  EXPECT_EQ(options_.data.path, "");
}

TEST_F(OverrideTest, MistakesRepeatWhatWasTyped) {
  EXPECT_EQ(error("train.bacth=3"), "--set train.bacth=3: unknown key; did you mean train.batch?");
  EXPECT_EQ(error("train.steps=abc"),
            "--set train.steps=abc: expected a whole number of at least 1 (steps), got \"abc\"");
  EXPECT_EQ(error("train.steps="), "--set train.steps=: expected a whole number of at least 1 (steps), got \"\"");
  EXPECT_EQ(error("train.steps"), "--set train.steps: expected key=value, such as seed=0");
  EXPECT_EQ(error("=5"), "--set =5: expected key=value, such as seed=0");
  EXPECT_EQ(error(""), "--set \"\": expected key=value, such as seed=0");
  EXPECT_EQ(error("train=5"), "--set train=5: is a group of options: expected keys below it, such as train.steps");
  EXPECT_EQ(error("extends=a.yaml"), "--set extends=a.yaml: unknown key; the keys are seed, train, data");
}

}  // namespace
}  // namespace sdg::config
