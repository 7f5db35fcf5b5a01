#include "sdg/config/find.h"

#include <gmock/gmock.h>

#include "config/sample_options.h"

namespace fs = std::filesystem;

namespace sdg::config {
namespace {

class FindTest : public testing::Test {
 protected:
  std::string error(const std::string& name) const {
    return test::usage_error([&] { find_config(name); });
  }
  test::TemporaryFolder folder_;
  fs::path shipped_ = folder_.path() / "shipped";
};

TEST_F(FindTest, TheWorkingFolderComesFirstThenTheShippedConfigs) {
  folder_.write("../shipped/a.yaml", "");
  EXPECT_EQ(find_config("a.yaml"), shipped_ / "a.yaml");
  EXPECT_EQ(find_config("a"), shipped_ / "a.yaml");
  folder_.write("a.yaml", "");
  EXPECT_EQ(find_config("a.yaml"), "a.yaml");
  EXPECT_EQ(find_config("a"), "a.yaml");
  folder_.write("a", "");
  EXPECT_EQ(find_config("a"), "a");
}

TEST_F(FindTest, AConfigSaysWhatItIsAndWhatWasMeasuredInTheCommentItBeginsWith) {
  folder_.write("a.yaml", "# For cats at 8.5 px. Slow.\n# More.\n# Measured: FD 1.5\nseed: 0\n# Measured: not this\n");
  EXPECT_EQ(config_summary("a.yaml").what, "For cats at 8.5 px.");
  EXPECT_EQ(config_summary("a.yaml").measured, "FD 1.5");
  folder_.write("b.yaml", "seed: 0\n");
  EXPECT_EQ(config_summary("b.yaml").what + config_summary("b.yaml").measured, "");
  EXPECT_THROW(config_summary("none.yaml"), Error);
}

TEST_F(FindTest, FoldersOfThatNameAreNoConfigs) {
  fs::create_directories("a");
  folder_.write("../shipped/a.yaml", "");
  EXPECT_EQ(find_config("a"), shipped_ / "a.yaml");
}

TEST_F(FindTest, PathsAndSubfoldersAreTakenAsTheyAre) {
  folder_.write("sub/a.yaml", "");
  EXPECT_EQ(find_config("sub/a"), "sub/a.yaml");
  EXPECT_EQ(find_config("./sub/a.yaml"), "./sub/a.yaml");
  EXPECT_EQ(find_config(fs::absolute("sub/a").string()), fs::absolute("sub/a.yaml"));
  folder_.write("../shipped/eval/b.yaml", "");
  EXPECT_EQ(find_config("eval/b"), shipped_ / "eval" / "b.yaml");
}

TEST_F(FindTest, WhatIsMissingSaysWhereItWasLookedForAndWhatThereIs) {
  folder_.write("../shipped/digits.yaml", "");
  folder_.write("../shipped/imagenet256.yaml", "");
  for (const auto* name : {"imagnet256", "imagnet256.yaml"}) {
    const std::string message = error(name);
    EXPECT_EQ(message.find(std::string("config \"") + name + "\": not found in " + fs::current_path().string() + ", " +
                           shipped_.string()),
              0U)
        << message;
    EXPECT_THAT(message, testing::ContainsRegex("; shipped configs: .*digits, .*imagenet256"));
    EXPECT_THAT(message, testing::EndsWith("; did you mean imagenet256?"));
  }
  EXPECT_EQ(error("/no/such/config"), "config \"/no/such/config\": not found, nor with .yaml");
  EXPECT_EQ(error(""), "config: expected a name, got nothing");
}

TEST_F(FindTest, ShippedConfigsAreListedByNameWithoutOtherFiles) {
  folder_.write("../shipped/zz_b.yaml", "");
  folder_.write("../shipped/zz_a.yaml", "");
  folder_.write("../shipped/eval/zz_c.yaml", "");
  folder_.write("../shipped/zz_data.safetensors", "");
  const auto names = shipped_configs();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_THAT(names, testing::IsSupersetOf({"eval/zz_c", "zz_a", "zz_b"}));
  EXPECT_THAT(names, testing::Not(testing::Contains(testing::HasSubstr("zz_data"))));
}

TEST_F(FindTest, DataIsFoundBesideTheConfigThenInTheWorkingFolderThenAmongTheShipped) {
  const fs::path beside = folder_.path() / "elsewhere";
  folder_.write("../shipped/d.npz", "");
  EXPECT_EQ(find_beside("d.npz", beside), shipped_ / "d.npz");
  folder_.write("d.npz", "");
  EXPECT_EQ(find_beside("d.npz", beside), "d.npz");
  EXPECT_EQ(find_beside("d.npz", ""), "d.npz");
  folder_.write("../elsewhere/d.npz", "");
  EXPECT_EQ(find_beside("d.npz", beside), beside / "d.npz");
  EXPECT_EQ(find_beside(fs::absolute("d.npz").string(), beside), fs::absolute("d.npz"));
  fs::create_directories("images");
  EXPECT_EQ(find_beside("images", beside), "images");
}

TEST_F(FindTest, MissingDataListsThePlaces) {
  try {
    find_beside("none.npz", "configs");
    FAIL();
  } catch (const Error& error) {
    const std::string start =
        "file \"none.npz\": not found in configs, " + fs::current_path().string() + ", " + shipped_.string();
    EXPECT_EQ(std::string(error.what()).find(start), 0U) << error.what();
  }
  EXPECT_THROW(find_beside("/no/such/file", ""), Error);
  EXPECT_THROW(find_beside("", ""), Error);
}

}  // namespace
}  // namespace sdg::config
