// The options of drawing on command lines: all that are declared, and nothing that is ignored.
#include "sdg/sample/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

class Drawing : public test::Program {
 protected:
  std::vector<std::string> images(const std::string& folder) const {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / folder))
      if (entry.path().extension() == ".png") out.push_back(entry.path().filename().string());
    std::sort(out.begin(), out.end());
    return out;
  }
  void expect_same_images(const std::string& a, const std::string& b) const {
    EXPECT_EQ(images(a), images(b));
    for (const auto& name : images(a))
      EXPECT_EQ(test::read_text(folder_.path() / a / name), test::read_text(folder_.path() / b / name)) << name;
  }
  void refused(const std::string& command, const std::string& what) const {
    SCOPED_TRACE(command);
    expect_failure(sdg(command), 2, what);
  }
  std::vector<std::string> points() const { return test::lines_of(test::read_text(folder_ / "sweep/points.jsonl")); }
};

}  // namespace

TEST_F(Drawing, EveryDeclaredOptionIsAFlag) {
  sample::SampleOptions declared;
  const auto fields = config::Fields::of(declared);
  const auto sample = sdg("sample --help").out, fid = sdg("eval-fid --help").out, sweep = sdg("sweep --help").out;
  for (const auto& field : fields.list()) {
    std::string flag = "--" + field.path;
    std::replace(flag.begin(), flag.end(), '_', '-');
    const bool interval = field.path == "guidance_begin" || field.path == "guidance_end";
    EXPECT_THAT(sample, HasSubstr(interval ? "--guidance-interval BEGIN END" : flag + " "));
    EXPECT_THAT(fid, HasSubstr(interval ? "--guidance-interval BEGIN END" : flag + " "));
    EXPECT_THAT(sweep, HasSubstr(interval ? "--interval B:E,..." : flag + " "));
  }
}

TEST_F(Drawing, WhatHasNoEffectIsRefused) {
  train_run();
  refused("sample --run run --diffusion linear", "--diffusion: only euler_maruyama");
  refused("eval-fid --run run --last-step-size 0.1", "--last-step-size: only euler_maruyama");
  refused("sample --run run --solver euler_maruyama --last-step none --last-step-size 0.1", "--last-step-size: ");
  refused("sample --run run --solver euler_maruyama --steps 1", "at least 2");
  refused("eval-fid --images x --diffusion linear", "--diffusion: says how to draw, and --images draws nothing");
}

TEST_F(Drawing, ACommaTooManyIsNoValue) {
  train_run();
  refused("sweep --run run --guidance 1,", "--guidance: expected a number from 0 to 1000, got \"\"");
  refused("sweep --run run --steps ,1", "--steps: expected");
  refused("sweep --run run --solver euler,,heun", "--solver: expected one of");
  refused("sweep --run run --interval 0:1,", "--interval: expected BEGIN:END");
  refused("sweep --run run,", "--run: expected LABEL=DIR");
  refused("features --run run --times 0.5,", "--times: expected");
}

// Noise is keyed by (seed, image, step).
TEST_F(Drawing, AStochasticSampleIsTheSameForAnyThreadsBatchAndCountAndAfterBeingKilled) {
  train_run();
  const std::string command = "sample --run run --solver euler_maruyama --seed 3 --steps 3 ";
  ASSERT_EQ(sdg(command + "--count 40 --out one", "OMP_NUM_THREADS=1").code, 0);
  ASSERT_EQ(sdg(command + "--count 40 --batch 1 --out two", "OMP_NUM_THREADS=2").code, 0);
  ASSERT_EQ(sdg(command + "--count 40 --batch 33 --out three", "OMP_NUM_THREADS=3").code, 0);
  expect_same_images("one", "two");
  expect_same_images("one", "three");
  ASSERT_EQ(sdg(command + "--count 7 --out few").code, 0);
  for (const auto& name : images("few"))
    EXPECT_EQ(test::read_text(folder_.path() / "few" / name), test::read_text(folder_.path() / "one" / name)) << name;
  ASSERT_EQ(sdg("sample --run run --seed 3 --steps 3 --count 7 --out ode").code, 0);
  EXPECT_NE(test::read_text(folder_ / "ode/000000.png"), test::read_text(folder_ / "few/000000.png"));

  ASSERT_EQ(sdg(command + "--count 300 --out whole").code, 0);
  test::RunningProgram program(folder_.path(), command + "--count 300 --out part");
  for (int i = 0; i < 12000 && !std::filesystem::exists(folder_ / "part/000010.png"); ++i) ::usleep(5000);
  program.send(SIGKILL);
  EXPECT_EQ(program.wait().code, 128 + SIGKILL);
  ASSERT_LT(images("part").size(), 300U);
  const auto rest = sdg(command + "--count 300 --out part");
  ASSERT_EQ(rest.code, 0) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("going on after"));
  expect_same_images("whole", "part");
}

TEST_F(Drawing, ASweepVariesAnyOption) {
  train_run();
  const auto result = sdg(
      "sweep --run run --guidance 1 --solver euler,euler_maruyama --diffusion sigma,decreasing --steps 3 --count 16");
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(points().size(), 3U);
  EXPECT_THAT(result.err, HasSubstr("only euler_maruyama and stochastic_heun add noise so: one point stands for all"));
  EXPECT_THAT(result.out, HasSubstr("| run, euler_maruyama, diffusion decreasing |"));
  EXPECT_THAT(result.out, HasSubstr("| run, euler |"));
  EXPECT_EQ(nlohmann::json::parse(points().back()).at("diffusion"), "decreasing");
}

TEST_F(Drawing, ASweepMeasuresOnceWhatMakesNoDifference) {
  train_run();
  const auto result =
      sdg("sweep --run run --guidance 1,2 --interval 0:1,0.3:1 --solver euler,dopri5 --steps 1,2 --count 16");
  ASSERT_EQ(result.code, 0) << result.err;
  // euler: 2 steps x (guidance 1, and guidance 2 with two intervals); dopri5 the same without steps.
  EXPECT_EQ(points().size(), 9U);
  EXPECT_THAT(result.err, HasSubstr("dopri5 chooses its own steps: one point stands for all"));
  EXPECT_THAT(result.err, HasSubstr("guidance is 1 inside as outside: one point stands for all"));
  EXPECT_THAT(result.err, Not(HasSubstr("counted once")));
  for (const auto& line : points()) {
    const auto point = nlohmann::json::parse(line);
    EXPECT_EQ(point.contains("steps"), point.at("solver") != "dopri5") << line;
    EXPECT_EQ(point.contains("guidance_begin"), point.at("guidance") != 1.0) << line;
  }
  EXPECT_THAT(result.out, HasSubstr("| run, dopri5, guided 0.3 to 1 |"));
}
