#include "sdg/config/write.h"

#include <gmock/gmock.h>

#include <random>

#include "config/sample_options.h"
#include "sdg/config/value.h"
#include "sdg/config/yaml.h"

namespace sdg::config {
namespace {

std::vector<Value> values(const Fields& fields) {
  std::vector<Value> out;
  for (const auto& field : fields.list()) out.push_back(current_value(field));
  return out;
}

test::RunOptions changed_options() {
  test::RunOptions options;
  options.seed = std::numeric_limits<int64_t>::max();
  options.train.steps = 7;
  options.train.lr = 0.1 + 0.2;
  options.train.ema = {1e-300, false};
  options.data = {"a b: \"c\" # d\n\te\\ü", "tar", {}, std::numeric_limits<int64_t>::min(), -1.0 / 3};
  return options;
}

TEST(ToYaml, IsNestedInTheOrderOfDeclaration) {
  test::RunOptions options;
  EXPECT_EQ(to_yaml(Fields::of(options)),
            "seed: 0\n"
            "train:\n"
            "  steps: 1500\n"
            "  batch: 128\n"
            "  lr: 0.0002\n"
            "  ema:\n"
            "    decay: 0.9999\n"
            "    warmup: true\n"
            "data:\n"
            "  path: digits.safetensors\n"
            "  format: auto\n"
            "  sides: [8, 16]\n"
            "  offset: 0\n"
            "  shift: 0\n");
}

TEST(ToYaml, ReadsBackExactlyInEveryStyle) {
  for (const bool comments : {false, true}) {
    for (const bool only_changed : {false, true}) {
      test::RunOptions options;
      const Fields fields = Fields::of(options);  // declared while fresh: only_changed compares with the defaults
      options = changed_options();
      test::RunOptions copy;
      const Fields copied = Fields::of(copy);
      read_yaml_text(copied, to_yaml(fields, {comments, only_changed}), "copy");
      EXPECT_EQ(values(copied), values(fields)) << to_yaml(fields, {comments, only_changed});
    }
  }
}

TEST(ToYaml, CommentsSayMeaningUnitRangeAndDefault) {
  test::RunOptions options;
  const Fields fields = Fields::of(options);
  options.train.steps = 5;
  const std::string text = to_yaml(fields, {.comments = true});
  EXPECT_THAT(text, testing::HasSubstr("\n\n# How long and how fast to train\n"
                                       "train:\n"
                                       "  # Optimizer steps. (steps; whole number of at least 1; default 1500)\n"
                                       "  steps: 5\n"
                                       "  # Images a step. (images; whole number from 1 to 65536)\n"
                                       "  batch: 128\n"));
  EXPECT_THAT(text, testing::HasSubstr("  # The images.\n  path: digits.safetensors\n"));
  EXPECT_THAT(text, testing::HasSubstr("  # How they are stored. (one of auto, folder, tar, tensors)\n"));
}

TEST(ToYaml, LongCommentsAreBroken) {
  int64_t number = 0;
  std::string help;
  for (int i = 0; i < 60; ++i) help += "word ";
  Fields fields;
  fields("number", &number, {.help = help});
  std::istringstream lines(to_yaml(fields, {.comments = true}));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) EXPECT_LE(line.size(), 100U);
  EXPECT_GE(count, 4);
}

TEST(ToYaml, OnlyChangedLeavesOutTheDefaults) {
  test::RunOptions options;
  const Fields fields = Fields::of(options);
  EXPECT_EQ(to_yaml(fields, {.only_changed = true}), "");
  options.train.ema.decay = 0.5;
  EXPECT_EQ(to_yaml(fields, {.only_changed = true}), "train:\n  ema:\n    decay: 0.5\n");
}

TEST(ToYaml, AnyTextReadsBackExactly) {
  std::mt19937 engine(7);
  const std::vector<std::string> pieces = {
      "a",    "Z",  "0",    "-",    ".", "/",      " ",      ":",          "#", "\"", "'",     "\\", "\n",
      "\r",   "\t", "\x01", "\x7f", "ü", "\u0085", "\u2028", "\U0001F600", "&", "*",  "[",     "]",  "{",
      "true", "~",  "|",    ">",    "%", "@",      ",",      "=",          "!", "?",  "\uFEFF"};
  for (int i = 0; i < 3000; ++i) {
    test::RunOptions options, copy;
    options.data.path.clear();
    for (uint32_t n = engine() % 8; n > 0; --n) options.data.path += pieces[engine() % pieces.size()];
    const std::string text = to_yaml(Fields::of(options));
    read_yaml_text(Fields::of(copy), text, "copy");
    EXPECT_EQ(copy.data.path, options.data.path) << text;
  }
}

TEST(ToMarkdown, HasEveryKeyAndGroupWithItsFacts) {
  test::RunOptions options;
  const Fields fields = Fields::of(options);
  const std::string text = to_markdown(fields);
  for (const auto& field : fields.list()) EXPECT_THAT(text, testing::HasSubstr("\n| `" + field.path + "` | "));
  for (const auto& group : fields.groups())
    EXPECT_THAT(text, testing::HasSubstr("\n## `" + group.path + "`\n\n" + group.help + "\n"));
  EXPECT_THAT(text,
              testing::HasSubstr(
                  "\n| `train.steps` | `1500` | steps | whole number of at least 1 | fixed | Optimizer steps. |\n"));
  EXPECT_THAT(text, testing::HasSubstr("| one of auto, folder, tar, tensors |"));
  EXPECT_THAT(text, testing::HasSubstr("| Peak learning rate \\| after warm-up. |\n"));
}

TEST(ToMarkdown, SaysWhatMayChangeWhenARunGoesOn) {
  double a = 0, b = 0, c = 0;
  Fields fields;
  fields("a", a, {.help = "A.", .resume = Resume::kFree});
  fields("b", b, {.help = "B.", .resume = Resume::kSaid});
  fields("c", c, {.help = "C."});
  const std::string text = to_markdown(fields);
  for (const std::string row : {"| free | A. |", "| said | B. |", "| fixed | C. |"})
    EXPECT_THAT(text, testing::HasSubstr(row));
  const std::string comments = to_yaml(fields, {.comments = true});
  EXPECT_THAT(comments, testing::HasSubstr("# B. (number; may change on resume)\n"));
  EXPECT_THAT(comments, testing::HasSubstr("# C. (number)\n"));
}

TEST(ToMarkdown, ShowsDefaultsNotPresentValues) {
  test::RunOptions options;
  const Fields fields = Fields::of(options);
  const std::string before = to_markdown(fields);
  options = changed_options();
  EXPECT_EQ(to_markdown(fields), before);
}

}  // namespace
}  // namespace sdg::config
