#include "sdg/io/json_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "sdg/core/error.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::read_text;
using test::TemporaryFolder;
using test::write_text;

TEST(JsonLines, WritesOneObjectALineInTheGivenOrder) {
  const TemporaryFolder folder;
  io::JsonLines log(folder / "log.jsonl");
  log.write(1, {{"loss", 0.1}, {"a \"name\"", 2}, {"images", 1e6}, {"lr", 1e-5}});
  const std::string first = "{\"step\":1,\"loss\":0.1,\"a \\\"name\\\"\":2,\"images\":1000000,\"lr\":1e-05}\n";
  EXPECT_EQ(read_text(folder / "log.jsonl"), first) << "and it is on disk before the log is closed";
  log.write(2, {});
  EXPECT_EQ(read_text(folder / "log.jsonl"), first + "{\"step\":2}\n");
}

TEST(JsonLines, NonFiniteValuesAreNull) {
  const TemporaryFolder folder;
  io::JsonLines(folder / "log.jsonl").write(0, {{"a", NAN}, {"b", INFINITY}, {"c", -INFINITY}});
  EXPECT_EQ(read_text(folder / "log.jsonl"), "{\"step\":0,\"a\":null,\"b\":null,\"c\":null}\n");
}

TEST(JsonLines, DoublesReadBackBitForBit) {
  const TemporaryFolder folder;
  using Limits = std::numeric_limits<double>;
  const std::vector<double> values = {1.0 / 3, Limits::max(), Limits::min(),  Limits::denorm_min(),
                                      0x1p53,  0x1p53 - 1,    -12345678901.0, 1e22,
                                      -0.1,    123456.789,    5e-324};
  io::JsonLines log(folder / "log.jsonl");
  io::Row row;
  for (const double value : values) row.emplace_back("v" + std::to_string(row.size()), value);
  log.write(0, row);
  const auto read = nlohmann::json::parse(read_text(folder / "log.jsonl"));
  for (const auto& [name, value] : row) EXPECT_EQ(read.at(name).get<double>(), value) << name;
}

TEST(JsonLines, AResumedRunCutsOffTheStepsItWillLogAgain) {
  const TemporaryFolder folder;
  {
    io::JsonLines log(folder / "log.jsonl");
    for (int64_t step = 1; step <= 5; ++step) log.write(step, {{"loss", static_cast<double>(step)}});
  }
  io::JsonLines log(folder / "log.jsonl", 3);
  log.write(4, {{"loss", 44}});
  EXPECT_EQ(read_text(folder / "log.jsonl"),
            "{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"loss\":3}\n{\"step\":4,\"loss\":44}\n");
  const std::string cut = "{\"step\":4,\"loss\":4}\n{\"step\":5,\"loss\":5}\n";
  EXPECT_EQ(read_text(folder / "log.jsonl.bak"), cut);
  io::JsonLines(folder / "log.jsonl", 3);
  EXPECT_EQ(read_text(folder / "log.jsonl.bak"), cut + "{\"step\":4,\"loss\":44}\n")
      << "nothing is lost the second time";
}

TEST(JsonLines, ATornLastLineGoesAndAWholeOneStays) {
  const TemporaryFolder folder;
  write_text(folder / "torn.jsonl", "{\"step\":1}\n{\"step\":2,\"lo");
  io::JsonLines(folder / "torn.jsonl").write(2, {});
  EXPECT_EQ(read_text(folder / "torn.jsonl"), "{\"step\":1}\n{\"step\":2}\n");
  write_text(folder / "whole.jsonl", "{\"step\":1}\n{\"step\":2}");
  io::JsonLines(folder / "whole.jsonl").write(3, {});
  EXPECT_EQ(read_text(folder / "whole.jsonl"), "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n");
}

TEST(JsonLines, WithoutALimitEveryLineStays) {
  const TemporaryFolder folder;
  write_text(folder / "log.jsonl", "{\"step\":9}\nnot ours\n");
  io::JsonLines log(folder / "log.jsonl");
  EXPECT_EQ(read_text(folder / "log.jsonl"), "{\"step\":9}\nnot ours\n");
}

TEST(JsonLines, AFileThatCannotBeWrittenIsNamed) {
  const TemporaryFolder folder;
  io::JsonLines log(folder / "none" / "log.jsonl");
  EXPECT_EQ(test::message_of<Error>([&] { log.write(0, {}); }),
            (folder / "none" / "log.jsonl").string() + ": cannot write: No such file or directory");
}
