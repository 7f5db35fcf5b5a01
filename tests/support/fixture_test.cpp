#include "support/fixture.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <regex>
#include <set>

#include "sdg/core/error.h"
#include "support/temporary_folder.h"

using namespace sdg;
using test::Fixture;
using test::TemporaryFolder;

namespace {

// gtest-spi's macros need state without local captures: one fixture file shared by the claims below.
struct Example {
  TemporaryFolder folder;
  Tensor floats = torch::tensor({1.0F, 2.0F, -4.0F, 8.0F});
  Tensor whole = torch::tensor({int64_t{1} << 60, int64_t{3}});

  Example() {
    tensors::TensorFile file;
    file.tensors = {{"w.half", torch::tensor({0.5F, 0.25F}).to(at::kHalf)},
                    {"w.count", torch::tensor({5}, at::kLong)},
                    {"in.x", floats},
                    {"out.y", floats},
                    {"out.ignoring", floats},
                    {"out.labels", whole},
                    {"out.untold", floats}};
    file.metadata = {{"case", "example"},
                     {"config", R"({"depth": 3})"},
                     {"tolerance", R"({"y": {"atol": 0.01, "rtol": 0.1}, "labels": {"atol": 5, "rtol": 1},
                       "ignoring": {"atol": 0, "rtol": 0, "ignore": [[0, 1], [2, 3]]}})"}};
    tensors::write_tensors(folder / "one.safetensors", file);
    file.metadata["case"] = "another";
    tensors::write_tensors(folder / "two.safetensors", file);
  }
  Fixture fixture() const { return Fixture(folder / "one.safetensors"); }
};

const std::filesystem::path kStored = SDG_SOURCE_DIR "/tests/fixtures";

std::vector<std::string> stored_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kStored)) {
    if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem().string());
  }
  return names;
}

Example& example() {
  static Example instance;
  return instance;
}
Tensor floats_with(int64_t index, float value) {
  Tensor x = example().floats.clone();
  x[index] = value;
  return x;
}

}  // namespace

TEST(Fixture, WeightsComeAsFloatAndWholeNumbersStay) {
  const auto weights = example().fixture().weights();
  EXPECT_EQ(weights.size(), 2U);
  EXPECT_TRUE(at::equal(weights.at("half"), torch::tensor({0.5F, 0.25F})));
  EXPECT_EQ(weights.at("count").scalar_type(), at::kLong);
  EXPECT_EQ(example().fixture().config.at("depth"), 3);
}

TEST(Fixture, WhatATestDoesInPlaceDoesNotReachTheFixture) {
  const auto fixture = example().fixture();
  fixture.in("x").zero_();
  fixture.weights().at("count").zero_();
  EXPECT_TRUE(at::equal(fixture.in("x"), example().floats));
  EXPECT_EQ(fixture.weights().at("count").item<int64_t>(), 5);
}

TEST(Fixture, AcceptsWhatTheToleranceAllows) {
  auto fixture = example().fixture();
  fixture.compare("y", floats_with(3, 8.80F));  // 0.80 <= 0.01 + 0.1 * 8
  fixture.compare("ignoring", floats_with(2, NAN));
  fixture.compare("labels", example().whole);
}

TEST(Fixture, RejectsWhatTheToleranceForbids) {
  EXPECT_NONFATAL_FAILURE(example().fixture().compare("y", floats_with(3, 8.82F)), "worst at flat index 3");
  EXPECT_NONFATAL_FAILURE(example().fixture().compare("y", floats_with(1, NAN)), "1 of 4 elements exceed");
  EXPECT_NONFATAL_FAILURE(example().fixture().compare("ignoring", floats_with(1, 2.001F)), "1 of 2 elements exceed");
  EXPECT_NONFATAL_FAILURE(example().fixture().compare("y", example().floats.unsqueeze(0)), "must be [4], got [1, 4]");
  EXPECT_NONFATAL_FAILURE(example().fixture().compare("y", Tensor()), "undefined");
}

TEST(Fixture, WholeNumbersAreComparedExactlyWhateverTheFileSays) {
  EXPECT_NONFATAL_FAILURE(example().fixture().compare("labels", example().whole + 1), "2 of 2 elements exceed");
}

TEST(Fixture, AFloatOutputWithoutToleranceFails) {
  EXPECT_NONFATAL_FAILURE(example().fixture().compare("untold", example().floats), "states no tolerance");
}

TEST(Fixture, OutputsNeverComparedFailUnlessExcused) {
  EXPECT_NONFATAL_FAILURE(
      {
        auto fixture = example().fixture();
        fixture.compare("y", example().floats);
        fixture.compare("labels", example().whole);
        fixture.expect_all_compared([](const std::string& output) { return output == "untold"; });
      },
      "ignoring: never compared");
}

TEST(Fixture, TheCaseChoosesTheFilesAndEveryComparisonIsLogged) {
  const TemporaryFolder logs;
  ::setenv("SDG_FIXTURES", example().folder.path().c_str(), 1);
  ::setenv("SDG_PARITY_LOG", (logs / "log.jsonl").c_str(), 1);
  int seen = 0;
  test::for_each_fixture("example", [&](Fixture& fixture) {
    ++seen;
    EXPECT_EQ(fixture.name, "one");
    fixture.compare("y", floats_with(0, 1.0625F));
  });
  ::unsetenv("SDG_FIXTURES");
  ::unsetenv("SDG_PARITY_LOG");
  EXPECT_EQ(seen, 1);
  const auto row = nlohmann::json::parse(test::read_text(logs / "log.jsonl"));
  EXPECT_EQ(row, nlohmann::json({{"fixture", "one"},
                                 {"output", "y"},
                                 {"max_abs", 0.0625},
                                 {"max_rel", 0.0625},
                                 {"atol", 0.01},
                                 {"rtol", 0.1},
                                 {"elements", 4}}));
}

TEST(Fixture, ThoseOfTheRepositoryAreThereAndNoNameComesTwice) {
  ::unsetenv("SDG_FIXTURES");
  std::map<std::string, int> found;
  std::set<std::string> cases;
  for (const auto& name : stored_names()) {
    const auto kind = Fixture(kStored / (name + ".safetensors")).metadata.at("case");
    if (!cases.insert(kind).second) continue;
    for (const auto& fixture : test::fixtures(kind)) ++found[fixture.name];
  }
  EXPECT_GE(cases.size(), 40U);
  for (const auto& name : stored_names()) EXPECT_EQ(found[name], 1) << name;
  for (const auto& [name, times] : found) EXPECT_EQ(times, 1) << name;
}

TEST(Fixture, ThoseOfTheRepositoryAreWhatTheirChecksumsSayAndTheReadmeNamesThem) {
  const std::string check = "cd '" + kStored.string() + "' && sha256sum --check --strict --quiet SHA256SUMS";
  EXPECT_EQ(std::system(check.c_str()), 0);
  const auto sums = test::read_text(kStored / "SHA256SUMS"), readme = test::read_text(kStored / "README.md");
  uintmax_t bytes = 0;
  for (const auto& name : stored_names()) {
    EXPECT_NE(sums.find("  " + name + ".safetensors\n"), std::string::npos) << name << " has no checksum";
    EXPECT_NE(readme.find("| `" + name + "` |"), std::string::npos) << "README.md says nothing of " << name;
    bytes += std::filesystem::file_size(kStored / (name + ".safetensors"));
  }
  EXPECT_LE(bytes, 20'000'000U);
}

TEST(Fixture, TheReadmeSaysWhichCasesTestsCompare) {
  std::string sources;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SDG_SOURCE_DIR "/tests")) {
    if (entry.path().extension() == ".cpp") sources += test::read_text(entry.path());
  }
  for (const auto& name : stored_names()) {
    const auto kind = Fixture(kStored / (name + ".safetensors")).metadata.at("case");
    const bool read = sources.find("fixture(\"" + kind + '"') != std::string::npos ||
                      sources.find("fixtures(\"" + kind + '"') != std::string::npos;
    const std::string word = read ? "(yes|in part)" : "not yet";
    EXPECT_TRUE(std::regex_search(test::read_text(kStored / "README.md"),
                                  std::regex("`" + name + "` \\| [0-9]+ \\| " + kind + " \\| " + word + " \\|")))
        << "README.md, column compared: " << name << " should say " << word;
  }
}
