// Whatever the text: it loads, or it throws the project's own error of one line.
#include <gtest/gtest.h>

#include <random>

#include "config/sample_options.h"
#include "sdg/config/overrides.h"
#include "sdg/config/write.h"
#include "sdg/config/yaml.h"

namespace sdg::config {
namespace {

struct Count {
  int loaded = 0, refused = 0;
};

void try_read(const std::string& text, Count& count) {
  test::RunOptions options;
  try {
    read_yaml_text(Fields::of(options), text, "fuzz.yaml");
    ++count.loaded;
  } catch (const UsageError& error) {
    ++count.refused;
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find("fuzz.yaml:"), 0U) << error.what();
  }
}

std::string sample_text() {
  test::RunOptions options;
  return to_yaml(Fields::of(options), {.comments = true});
}

TEST(YamlFuzz, RandomBytesAreReadOrRefused) {
  std::mt19937 engine(1);
  Count count;
  for (int i = 0; i < 3000; ++i) {
    std::string text(engine() % 64, '\0');
    for (auto& c : text) c = static_cast<char>(engine());
    try_read(text, count);
  }
  EXPECT_GT(count.refused, 0);
}

TEST(YamlFuzz, RandomYamlTokensAreReadOrRefused) {
  const std::vector<std::string> tokens = {
      "train",  ":",     ": ",    "\n",  "  ", "\n  ", "steps",        "5",         "-",   "- ",    "[", "]",
      "{",      "}",     ",",     "&a ", "*a", "!t ",  "!!int ",       "|\n",       ">\n", "\"",    "'", "#",
      "%YAML ", "---\n", "...\n", "?",   "? ", "~",    "data.sides: ", "seed: 1\n", "\t",  "<<: *a"};
  std::mt19937 engine(2);
  Count count;
  for (int i = 0; i < 10000; ++i) {
    std::string text;
    for (uint32_t n = engine() % 16; n > 0; --n) text += tokens[engine() % tokens.size()];
    try_read(text, count);
  }
  EXPECT_GT(count.loaded, 0);
  EXPECT_GT(count.refused, 0);
}

TEST(YamlFuzz, DamagedConfigsAreReadOrRefused) {
  const std::string sample = sample_text();
  std::mt19937 engine(3);
  Count count;
  for (int i = 0; i < 2000; ++i) {
    std::string text = sample;
    for (uint32_t n = 1 + engine() % 4; n > 0; --n) {
      const size_t at = engine() % text.size();
      switch (engine() % 3) {
        case 0:
          text[at] = static_cast<char>(engine());
          break;
        case 1:
          text.erase(at, 1 + engine() % 8);
          break;
        default:
          text.insert(at, text.substr(engine() % text.size(), engine() % 12));
      }
      if (text.empty()) text = " ";
    }
    try_read(text, count);
  }
  EXPECT_GT(count.loaded, 0);
  EXPECT_GT(count.refused, 0);
}

TEST(YamlFuzz, DeepNestingIsRefused) {
  Count count;
  for (const auto* open : {"[", "{", "- ", "{a: ", "? "}) {
    std::string text;
    for (int i = 0; i < 50000; ++i) text += open;
    try_read(text, count);
  }
  EXPECT_EQ(count.refused, 5);
}

TEST(OverrideFuzz, RandomTextIsTakenOrRefused) {
  std::mt19937 engine(4);
  int taken = 0, refused = 0;
  for (int i = 0; i < 5000; ++i) {
    test::RunOptions options;
    std::string text = i % 2 ? "data.path=" : "";
    for (uint32_t n = engine() % 24; n > 0; --n) text += static_cast<char>(engine());
    try {
      apply_override(Fields::of(options), text);
      ++taken;
    } catch (const UsageError&) {
      ++refused;
    }
  }
  EXPECT_EQ(taken, 2500);
  EXPECT_EQ(refused, 2500);
}

}  // namespace
}  // namespace sdg::config
