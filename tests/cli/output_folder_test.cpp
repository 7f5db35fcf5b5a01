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

TEST_F(Folder, OfWebpHoldsTheSamePixelsAndGoesOnWithTheSameBytes) {
  const std::string how = "sample --run run --count 400 --steps 20 --batch 16 ";
  ASSERT_EQ(sdg(how + "--out png").code, 0);
  const auto whole = sdg(how + "--format webp --out whole");
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(files("whole").size(), 400U);
  for (const std::string number : {"000000", "000399"})
    EXPECT_TRUE(at::equal(image::read_image(folder_ / "whole" / (number + ".webp")),
                          image::read_image(folder_ / "png" / (number + ".png")).expand({3, -1, -1})));
  EXPECT_THAT(bytes("whole/000001.webp"), HasSubstr("sdg sample: image 1, cluster "));
  for (int i = 0; i < 3; ++i) {
    test::RunningProgram program(folder_.path(), how + "--format webp --out part");
    const auto some = folder_ / "part" / (i == 0 ? "000010.webp" : i == 1 ? "000100.webp" : "000200.webp");
    for (int k = 0; k < 12000 && !std::filesystem::exists(some); ++k) ::usleep(5000);
    program.send(SIGKILL);
    program.wait();
    expect_failure(sdg(how + "--out part"), 2, "of another command that was stopped");
  }
  ASSERT_EQ(sdg(how + "--format webp --out part").code, 0);
  EXPECT_EQ(files("part"), files("whole"));
  for (const auto& name : files("whole")) EXPECT_EQ(bytes("part/" + name), bytes("whole/" + name)) << name;
  EXPECT_EQ(bytes("part-grid.png"), bytes("whole-grid.png"));
  expect_failure(sdg("sample --run run --format webp --npz a.npz"), 2, "--format");
  expect_failure(sdg("sample --run run --format jpeg"), 2, "--format: expected one of png, webp");
  EXPECT_EQ(sdg("eval-fid --run run --images whole --reference png --extractor digits").code, 0);
}

TEST_F(Folder, NothingIsTouchedBeforeTheRequestIsKnownToMakeSense) {
  for (const std::string wrong : {"--cluster 99", "--guide network --guidance 2", "--guide input", "--inner-guidance 2",
                                  "--grid karras --steps 1", "--times 0,1 --grid list --cluster 0:0"}) {
    expect_failure(sdg("sample --run run --count 2 --out never " + wrong), 2, "");
    EXPECT_FALSE(std::filesystem::exists(folder_ / "never")) << wrong;
  }
  expect_failure(sdg("sample --run run --count 2 --out a.npz"), 2,
                 "--out: expected a folder for many pictures, got a.npz");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "a.npz"));
  std::filesystem::create_directories(folder_ / "folder");
  expect_failure(sdg("sample --run run --count 2 --npz folder"), 2,
                 "--npz: expected a file to write, got the folder folder");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "folder.rows.partial"));
  const auto endless = sdg("sample --run run --count 99999999999999 --npz a.npz");
  EXPECT_EQ(endless.code, 1);
  EXPECT_THAT(endless.err, HasSubstr("a.npz.rows.partial: cannot write: "));
}
