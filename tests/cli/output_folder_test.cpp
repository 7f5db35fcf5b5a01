// Folders of images that sample and decode write are clean data sets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "cli/tiny_program.h"
#include "sdg/image/image.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;

namespace {

class Folder : public test::Program {
 protected:
  void SetUp() override { train_run(); }
  std::set<std::string> files(const std::string& folder) const {
    std::set<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / folder))
      out.insert(entry.path().filename().string());
    return out;
  }
  std::string bytes(const std::string& file) const { return test::read_text(folder_.path() / file); }
};

}  // namespace

TEST_F(Folder, HoldsTheImagesAndNothingElse) {
  const auto result = sdg("sample --run run --count 5 --out s/");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(files("s"), (std::set<std::string>{"000000.png", "000001.png", "000002.png", "000003.png", "000004.png"}));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "s-grid.png"));
  EXPECT_THAT(result.err, HasSubstr("s-grid.png"));
}

TEST_F(Folder, OldImagesNeverStayAmongNewOnes) {
  ASSERT_EQ(sdg("sample --run run --count 9 --out s").code, 0);
  const auto before = bytes("s/000000.png");
  expect_failure(sdg("sample --run run --count 4 --seed 1 --out s"), 2, "holds 9 images already");
  EXPECT_EQ(files("s").size(), 9U);
  test::write_text(folder_.path() / "s" / "grid.png", "of an earlier version");
  const auto again = sdg("sample --run run --count 4 --seed 1 --out s --overwrite");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(files("s").size(), 4U);
  EXPECT_NE(bytes("s/000000.png"), before);
}

TEST_F(Folder, FilesOfOthersAreNeverTouched) {
  for (const std::string name : {"holiday.png", "notes.txt", "12.png", "000001.jpg"}) {
    std::filesystem::create_directories(folder_ / "mine");
    test::write_text(folder_.path() / "mine" / name, "mine");
    for (const std::string flag : {"", " --overwrite"})
      expect_failure(sdg("sample --run run --count 2 --out mine" + flag), 2, "holds " + name);
    EXPECT_EQ(files("mine"), std::set<std::string>{name});
    EXPECT_EQ(bytes("mine/" + name), "mine");
    std::filesystem::remove_all(folder_ / "mine");
  }
  test::write_text(folder_ / "file", "");
  expect_failure(sdg("sample --run run --count 2 --out file"), 1, "expected a folder");
}

TEST_F(Folder, OfAnInterruptedSamplingIsKnownAndGoneOnWith) {
  ASSERT_EQ(sdg("sample --run run --count 400 --steps 20 --batch 16 --out whole").code, 0);
  const std::string command = "sample --run run --count 400 --steps 20 --batch 16 --out part";
  for (const int signal : {SIGKILL, SIGTERM}) {
    test::RunningProgram program(folder_.path(), command);
    const auto some = folder_ / "part" / (signal == SIGKILL ? "000010.png" : "000040.png");
    for (int i = 0; i < 12000 && !std::filesystem::exists(some); ++i) ::usleep(5000);
    program.send(signal);
    EXPECT_EQ(program.wait().code, 128 + signal);
    ASSERT_LT(files("part").size(), 400U);
    expect_failure(sdg("eval-fid --images part --reference whole --extractor digits"), 1, "incomplete");
    expect_failure(sdg("sample --run run --count 400 --seed 3 --out part"), 2, "of another command that was stopped");
  }
  const auto rest = sdg(command);
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("going on after"));
  EXPECT_EQ(files("part"), files("whole"));
  for (const auto& name : files("whole")) EXPECT_EQ(bytes("part/" + name), bytes("whole/" + name)) << name;
  EXPECT_EQ(bytes("part-grid.png"), bytes("whole-grid.png"));
}
