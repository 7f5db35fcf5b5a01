#include "sdg/config/yaml.h"

#include <gtest/gtest.h>

#include "config/sample_options.h"
#include "sdg/config/write.h"

namespace sdg::config {
namespace {

class YamlTest : public testing::Test {
 protected:
  void read(const std::string& text) { read_yaml_text(Fields::of(options_), text, "a.yaml"); }
  std::string error(const std::string& text) {
    return test::usage_error([&] { read(text); });
  }
  test::RunOptions options_;
};

TEST_F(YamlTest, NestedMapsAndDottedKeysSayTheSame) {
  read(
      "seed: 3\ntrain:\n  steps: 1e3\n  ema:\n    decay: 0.5\ndata.path: other.npz\ntrain.ema.warmup: off\ndata.sides: "
      "[1, 2]\n");
  EXPECT_EQ(options_.seed, 3);
  EXPECT_EQ(options_.train.steps, 1000);
  EXPECT_EQ(options_.train.ema.decay, 0.5);
  EXPECT_FALSE(options_.train.ema.warmup);
  EXPECT_EQ(options_.data.path, "other.npz");
  EXPECT_EQ(options_.data.sides, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(options_.train.batch, 128);
}

TEST_F(YamlTest, EmptyFilesAndEmptyGroupsChangeNothing) {
  for (const auto* text :
       {"", "\n", "# only a comment\n", "---\n", "{}", "train:\n", "train:\n  # steps: 5\ndata: {}\n", "~"}) {
    EXPECT_NO_THROW(read(text)) << text;
  }
  EXPECT_EQ(to_yaml(Fields::of(options_)), [] {
    test::RunOptions fresh;
    return to_yaml(Fields::of(fresh));
  }());
}

TEST_F(YamlTest, ListsMayBeBlocksOrText) {
  read("data:\n  sides:\n    - 4\n    - 1_0\n");
  EXPECT_EQ(options_.data.sides, (std::vector<int64_t>{4, 10}));
  read("data.sides: 1,2\n");
  EXPECT_EQ(options_.data.sides, (std::vector<int64_t>{1, 2}));
}

TEST_F(YamlTest, TextMayLookLikeAnything) {
  read("data.path: 5\n");
  EXPECT_EQ(options_.data.path, "5");
  read("data.path: \"\"\n");
  EXPECT_EQ(options_.data.path, "");
  read("data.path: 'yes: \"no\"'\n");
  EXPECT_EQ(options_.data.path, "yes: \"no\"");
}

TEST_F(YamlTest, UnknownKeysNameLineAndNeighbour) {
  EXPECT_EQ(error("seed: 1\n\ntrain:\n  steps: 5\n  bacth: 3\n"),
            "a.yaml:5: train.bacth: unknown key; did you mean train.batch?");
  EXPECT_EQ(error("train.bacth: 3"), "a.yaml:1: train.bacth: unknown key; did you mean train.batch?");
  EXPECT_EQ(error("trian:\n  steps: 5"), "a.yaml:1: trian: unknown key; did you mean train?");
  EXPECT_EQ(error("steps: 5"), "a.yaml:1: steps: unknown key; did you mean train.steps?");
  EXPECT_EQ(error("data: {steps: 5}"), "a.yaml:1: data.steps: unknown key; did you mean train.steps?");
  EXPECT_EQ(error("train: {momentum: 5}"),
            "a.yaml:1: train.momentum: unknown key; below train stand steps, batch, lr, ema");
  EXPECT_EQ(error("optimizer: {momentum: 5}"), "a.yaml:1: optimizer: unknown key; the keys are seed, train, data");
  EXPECT_EQ(error("train: {extends: b}"),
            "a.yaml:1: train.extends: unknown key; below train stand steps, batch, lr, ema");
  EXPECT_EQ(error("\"\": 1"), "a.yaml:1: \"\": unknown key; the keys are seed, train, data");
  EXPECT_EQ(error("\"a\\nb\": 1"), "a.yaml:1: a\\nb: unknown key; the keys are seed, train, data");
}

TEST_F(YamlTest, RepeatedKeysNameBothLines) {
  EXPECT_EQ(error("seed: 1\nseed: 1\n"), "a.yaml:2: seed: repeated key; it stands on line 1 already");
  EXPECT_EQ(error("train:\n  steps: 1\n  batch: 2\n  steps: 3\n"),
            "a.yaml:4: train.steps: repeated key; it stands on line 2 already");
  EXPECT_EQ(error("train:\n  steps: 1\ndata:\n  shift: 0\ntrain:\n  lr: 1\n"),
            "a.yaml:5: train: repeated key; it stands on line 1 already");
  EXPECT_EQ(error("train:\n  steps: 1\ntrain.steps: 2\n"),
            "a.yaml:3: train.steps: repeated key; it stands on line 2 already");
  EXPECT_EQ(error("extends: b\nextends: c\n").substr(0, 18), "a.yaml:1: extends:");  // b is looked for first
}

TEST_F(YamlTest, WrongTypesAndRangesNameLineAndKey) {
  EXPECT_EQ(error("train:\n  steps: abc\n"),
            "a.yaml:2: train.steps: expected a whole number of at least 1 (steps), got \"abc\"");
  EXPECT_EQ(error("train:\n  steps: 0\n"),
            "a.yaml:2: train.steps: expected a whole number of at least 1 (steps), got 0");
  EXPECT_EQ(error("train.steps: \"5\"\n"),
            "a.yaml:1: train.steps: expected a whole number of at least 1 (steps), got \"5\"");
  EXPECT_EQ(error("train.steps:\n"),
            "a.yaml:1: train.steps: expected a whole number of at least 1 (steps), got nothing");
  EXPECT_EQ(error("train.steps: [5]\n"),
            "a.yaml:1: train.steps: expected a whole number of at least 1 (steps), got a list");
  EXPECT_EQ(error("train.ema.warmup: 'yes'"), "a.yaml:1: train.ema.warmup: expected true or false, got \"yes\"");
  EXPECT_EQ(error("data.path:\n"), "a.yaml:1: data.path: expected text, got nothing");
  EXPECT_EQ(error("data.path: [a]\n"), "a.yaml:1: data.path: expected text, got a list");
  EXPECT_EQ(error("data:\n  sides: [1, [2]]\n"),
            "a.yaml:2: data.sides: expected a list of whole numbers, each of at least 1 (pixels), got \"[1, a list]\"");
  EXPECT_EQ(error("data.sides: [1, -2]\n"),
            "a.yaml:1: data.sides: expected a list of whole numbers, each of at least 1 (pixels), got [1, -2]");
  EXPECT_EQ(error("data.format: foldr"),
            "a.yaml:1: data.format: expected one of auto, folder, tar, tensors, got \"foldr\"; did you mean folder?");
}

TEST_F(YamlTest, GroupsAndOptionsCannotStandForEachOther) {
  EXPECT_EQ(error("train: 5"),
            "a.yaml:1: train: is a group of options: expected keys below it, such as train.steps, got \"5\"");
  EXPECT_EQ(error("train: [steps]"),
            "a.yaml:1: train: is a group of options: expected keys below it, such as train.steps, got a list");
  EXPECT_EQ(error("train:\n  steps: {max: 5}"),
            "a.yaml:2: train.steps: expected a whole number of at least 1 (steps), got a map");
}

TEST_F(YamlTest, WhatIsNoConfigSaysWhere) {
  EXPECT_EQ(error("- a\n- b\n"), "a.yaml:1: expected \"key: value\", got a list");
  EXPECT_EQ(error("hello"), "a.yaml:1: expected \"key: value\", got \"hello\"");
  EXPECT_EQ(error("seed: 1\n[a]: 2\n"), "a.yaml:2: expected the name of an option, got a list");
  EXPECT_EQ(error("seed: 1\n---\nseed: 2\n"), "a.yaml:2: not YAML: expected one document, got more after its end");
  EXPECT_EQ(error("seed: 1\ntrain:\n  steps: [1, 2\n").substr(0, 18), "a.yaml:4: not YAML");
  const std::string tab = ": not YAML: the line is indented with a tab, YAML takes only spaces";
  EXPECT_EQ(error("seed: 1\ntrain:\n\tsteps: 1\n"), "a.yaml:3" + tab);
  EXPECT_EQ(error("train:\n  steps: 1\n\tbatch: 2\n"), "a.yaml:3" + tab);
  EXPECT_EQ(error("\tseed: 1\ntrain:\n  steps: 1\n"), "a.yaml:1" + tab);
  EXPECT_EQ(error("seed: 1\n]\n").substr(0, 18), "a.yaml:2: not YAML");
  EXPECT_EQ(error("seed: *unknown\n").substr(0, 18), "a.yaml:1: not YAML");
}

TEST_F(YamlTest, AnchorsWorkAndCirclesOfThemEnd) {
  read("train: {steps: &n 64, batch: *n}\n");
  EXPECT_EQ(options_.train.batch, 64);
  EXPECT_EQ(error("train: &t {train: *t}").substr(0, 37), "a.yaml:1: train.train: unknown key; d");
  EXPECT_EQ(error("data.sides: &s [*s]"),
            "a.yaml:1: data.sides: expected a list of whole numbers, each of at least 1 (pixels), got \"[a list]\"");
}

TEST_F(YamlTest, AMistakeChangesNothing) {
  error("seed: 9\ntrain: {steps: 9, batch: 0}\n");
  EXPECT_EQ(options_.seed, 0);
  EXPECT_EQ(options_.train.steps, 1500);
}

class ExtendsTest : public testing::Test {
 protected:
  void read(const std::string& file) { read_yaml(Fields::of(options_), file); }
  std::string error(const std::string& file) {
    return test::usage_error([&] { read(file); });
  }
  test::TemporaryFolder folder_;
  test::RunOptions options_;
};

TEST_F(ExtendsTest, BasesAreReadFirstOverThreeSteps) {
  folder_.write("sub/a.yaml", "train.steps: 3\nextends: b.yaml\n");
  folder_.write("sub/b.yaml", "extends: common\ntrain: {steps: 2, batch: 2}\n");  // beside the file, suffix left out
  folder_.write("../shipped/common.yaml", "train: {steps: 1, batch: 1, lr: 0.5}\n");
  read("sub/a.yaml");
  EXPECT_EQ(options_.train.steps, 3);
  EXPECT_EQ(options_.train.batch, 2);
  EXPECT_EQ(options_.train.lr, 0.5);
}

TEST_F(ExtendsTest, TheFolderOfTheFileComesBeforeTheWorkingFolder) {
  folder_.write("sub/a.yaml", "extends: b\n");
  folder_.write("sub/b.yaml", "seed: 1\n");
  folder_.write("b.yaml", "seed: 2\n");
  read("sub/a.yaml");
  EXPECT_EQ(options_.seed, 1);
}

TEST_F(ExtendsTest, MistakesNameTheFileTheyStandIn) {
  folder_.write("a.yaml", "\nextends: b.yaml\nseed: 4\n");
  folder_.write("b.yaml", "\n\nsede: 4\n");
  EXPECT_EQ(error("a.yaml"), "b.yaml:3: sede: unknown key; did you mean seed?");
  EXPECT_EQ(options_.seed, 0);
}

TEST_F(ExtendsTest, CirclesAreNamed) {
  folder_.write("a.yaml", "extends: b.yaml\n");
  folder_.write("b.yaml", "seed: 1\nextends: ./a.yaml\n");
  EXPECT_EQ(error("a.yaml"), "b.yaml:2: extends: a config cannot extend itself: a.yaml -> b.yaml -> a.yaml");
  folder_.write("c.yaml", "extends: c\n");
  EXPECT_EQ(error("c.yaml"), "c.yaml:1: extends: a config cannot extend itself: c.yaml -> c.yaml");
}

TEST_F(ExtendsTest, AMissingBaseSaysWhereItWasLookedFor) {
  folder_.write("a.yaml", "extends: comon\n");
  folder_.write("../shipped/common.yaml", "");
  const std::string message = error("a.yaml");
  EXPECT_EQ(message.find("a.yaml:1: extends: config \"comon\": not found in "), 0U) << message;
  EXPECT_NE(message.find("; did you mean common?"), std::string::npos) << message;
}

TEST_F(ExtendsTest, OneNameIsExpected) {
  folder_.write("a.yaml", "extends: [b, c]\n");
  EXPECT_EQ(error("a.yaml"), "a.yaml:1: extends: expected the name of one config, got a list");
  folder_.write("a.yaml", "extends:\n");
  EXPECT_EQ(error("a.yaml"), "a.yaml:1: extends: expected the name of one config, got nothing");
  folder_.write("b.yaml", "");
  folder_.write("a.yaml", "extends: b\nseed: 1\nextends: b\n");
  EXPECT_EQ(error("a.yaml"), "a.yaml:3: extends: repeated key; it stands on line 1 already");
}

TEST_F(ExtendsTest, WhatCannotBeReadSaysSo) {
  EXPECT_EQ(error("none.yaml"), "none.yaml: cannot be read");
  EXPECT_EQ(error("."), ".: expected a config, got a folder");
  folder_.write("large.yaml", std::string((4 << 20) + 1, '\n'));
  EXPECT_EQ(error("large.yaml"), "large.yaml: expected a config, got a file of more than 4 MiB");
}

TEST_F(ExtendsTest, TextWithoutAFileFindsItsBaseAmongTheConfigs) {
  folder_.write("../shipped/base.yaml", "seed: 5\n");
  read_yaml_text(Fields::of(options_), "extends: base\ntrain.steps: 2\n", "checkpoint");
  EXPECT_EQ(options_.seed, 5);
  EXPECT_EQ(options_.train.steps, 2);
}

}  // namespace
}  // namespace sdg::config
