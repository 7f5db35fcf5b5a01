#include <gmock/gmock.h>
#include <pwd.h>
#include <unistd.h>

#include <cstdlib>

#include "config/sample_options.h"
#include "sdg/config/find.h"

namespace fs = std::filesystem;

namespace sdg::config {
namespace {

class ExpandTest : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("HOME", "/home/somebody", 1);
    ::setenv("SDG_TEST_DATA", "/data", 1);
    ::setenv("SDG_TEST_EMPTY", "", 1);
    ::unsetenv("SDG_TEST_NONE");
  }
  void TearDown() override { ::setenv("HOME", home_.c_str(), 1); }
  static std::string error(const std::string& path) {
    return test::usage_error([&] { expand_path(path); });
  }
  const std::string home_ = std::getenv("HOME") ? std::getenv("HOME") : "";
  test::TemporaryFolder folder_;
};

TEST_F(ExpandTest, HomesAndVariablesAreReplacedAsAShellWould) {
  EXPECT_EQ(expand_path("~"), "/home/somebody");
  EXPECT_EQ(expand_path("~/x/~"), "/home/somebody/x/~");
  EXPECT_EQ(expand_path("a~/x"), "a~/x");
  EXPECT_EQ(expand_path(std::string("~") + ::getpwuid(0)->pw_name + "/x"), std::string(::getpwuid(0)->pw_dir) + "/x");
  EXPECT_EQ(expand_path("$SDG_TEST_DATA/x"), "/data/x");
  EXPECT_EQ(expand_path("${SDG_TEST_DATA}set"), "/dataset");
  EXPECT_EQ(expand_path("a$SDG_TEST_EMPTY.b$SDG_TEST_DATA-$SDG_TEST_DATA"), "a.b/data-/data");
  EXPECT_EQ(expand_path("cost $5, $ and ${"), "cost $5, $ and ${");
  EXPECT_EQ(expand_path(""), "");
}

TEST_F(ExpandTest, WhatDoesNotExistIsNamed) {
  EXPECT_EQ(error("$SDG_TEST_NONE/x"), "\"$SDG_TEST_NONE/x\": the environment variable SDG_TEST_NONE is not set");
  EXPECT_EQ(error("~nobody-of-that-name/x"), "\"~nobody-of-that-name/x\": there is no user nobody-of-that-name");
}

TEST_F(ExpandTest, AFileOfThatVeryNameIsItself) {
  for (const std::string name : {"~", "$SDG_TEST_NONE", "a,b"}) {
    folder_.write(name, "");
    EXPECT_EQ(expand_path(name), name);
    EXPECT_EQ(find_beside(name, ""), name);
  }
}

TEST_F(ExpandTest, WhatAConfigNamesIsLookedForWhereItLeads) {
  folder_.write("sub/x", "");
  ::setenv("HOME", fs::current_path().c_str(), 1);
  ::setenv("SDG_TEST_DATA", "sub", 1);
  EXPECT_EQ(find_beside("~/sub/x", ""), fs::current_path() / "sub" / "x");
  EXPECT_EQ(find_beside("$SDG_TEST_DATA/x", ""), "sub/x");
  EXPECT_EQ(find_beside("${SDG_TEST_DATA}/x", fs::current_path()), fs::current_path() / "sub" / "x");
  try {
    find_beside("~/none", "");
    FAIL();
  } catch (const Error& missing) {
    EXPECT_THAT(missing.what(), testing::StartsWith("file \"~/none\", which is \"" + fs::current_path().string() +
                                                    "/none\": not found"));
  }
}

}  // namespace
}  // namespace sdg::config
