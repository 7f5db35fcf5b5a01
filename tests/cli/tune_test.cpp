// sdg tune: finds how a run draws best, and sdg sample follows it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "cli/tiny_program.h"
#include "sdg/study/tuned.h"
#include "support/tiny_run.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

class TuneProgram : public test::Program {
 protected:
  nlohmann::json result(const std::string& run = "run") const {
    return nlohmann::json::parse(test::read_text(folder_ / (run + "/tune/result.json")));
  }
  // Files of the run and their bytes, those of logs left out.
  std::string drawn(const std::string& arguments, const std::string& out) const {
    const auto done = sdg("sample --run run --count 16 --npz " + out + " " + arguments);
    EXPECT_EQ(done.code, 0) << done.err;
    err_ = done.err;
    return test::read_text(folder_ / out);
  }
  mutable std::string err_;
};

const std::string kFew = "--guidance 1,2,4 --begin 0,0.3 --end 1 --images 1200 --least 16 --resamples 20 ";

}  // namespace

TEST_F(TuneProgram, SearchesWithinItsBudgetDrawsTheCurveAndStoresWhatSampleFollows) {
  train_run("--set average.track=true --set average.every=1 --set train.steps=12 --set condition.change=0.2");
  const auto done = sdg("tune run " + kFew + "--width 0.1,0.2 --guide-step 4");
  ASSERT_EQ(done.code, 0) << done.err;
  const auto found = result();
  EXPECT_LE(found["images"].get<int64_t>(), 1200);
  EXPECT_EQ(found["metric"], "FD-digits");
  EXPECT_EQ(found["protocol"]["extractor"], "digits");
  EXPECT_EQ(found["step"], 12);
  std::set<std::string> axes;
  for (const auto& [name, value] : found["best"].items()) axes.insert(name);
  EXPECT_EQ(axes, (std::set<std::string>{"guidance", "begin", "width", "guide"})) << "an axis of one value is none";
  for (const auto& point : found["points"]) {
    EXPECT_LE(point["distance"]["low"], point["distance"]["value"]);
    EXPECT_GE(point["distance"]["high"], point["distance"]["value"]);
  }
  EXPECT_THAT(done.out, HasSubstr("| guidance | begin | width | guide | FD-digits of "));
  EXPECT_THAT(done.out, HasSubstr("best: guidance "));
  EXPECT_THAT(test::read_text(folder_ / "run/tune/curve.svg"), HasSubstr("FD-digits over guidance"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run/tune/work"));

  // Whatever was found: sample follows the file, says so, and the command line wins.
  study::Tuned tuned;
  tuned.step = 12;
  tuned.options = {{"guidance", "3"}, {"guidance_begin", "0.3"}, {"guidance_end", "1"}, {"guide", "null"}};
  study::write_tuned(folder_ / "run", tuned);
  const auto followed = drawn("", "a.npz");
  EXPECT_THAT(err_,
              HasSubstr("drawing as tuned (run/sampling.json): guidance 3, guidance_begin 0.3, guidance_end 1, "));
  EXPECT_EQ(followed, drawn("--untuned --guidance 3 --guidance-interval 0.3 1", "b.npz"));
  EXPECT_THAT(err_, Not(HasSubstr("as tuned")));
  EXPECT_EQ(drawn("--guidance 1.25", "c.npz"), drawn("--untuned --guidance 1.25 --guidance-interval 0.3 1", "d.npz"));
  EXPECT_NE(followed, drawn("--untuned", "e.npz"));
  // With an average and a guide of the run.
  ASSERT_EQ(sdg("average run --width 0.2 --out run/tune/a.safetensors").code, 0);
  ASSERT_EQ(sdg("average run --width 0.05 --step 6 --out run/tune/g.safetensors").code, 0);
  tuned.average = "tune/a.safetensors";
  tuned.guide = "tune/g.safetensors";
  tuned.options["guide"] = "network";
  study::write_tuned(folder_ / "run", tuned);
  const auto guided = drawn("", "f.npz");
  const auto by_hand =
      sdg("sample --checkpoint run/tune/a.safetensors --guide-checkpoint run/tune/g.safetensors "
          "--guidance 3 --guidance-interval 0.3 1 --count 16 --npz g.npz");
  ASSERT_EQ(by_hand.code, 0) << by_hand.err;
  EXPECT_EQ(guided, test::read_text(folder_ / "g.npz"));
  // Guidance 1 leads away from no network, the tuned one included.
  drawn("--guidance 1", "i.npz");
  EXPECT_THAT(err_, Not(HasSubstr("g.safetensors")));
  expect_failure(sdg("sample --checkpoint run/tune/a.safetensors --weights model --count 2"), 1,
                 "a.safetensors: holds no raw weights (model), only their average (ema)");
  const auto measured = sdg("eval --run run --count 32");
  EXPECT_EQ(measured.code, 0) << measured.err;
  EXPECT_THAT(measured.err, HasSubstr("drawing as tuned"));
  // Trained on, it is another run.
  ASSERT_EQ(sdg("train --resume run --set train.steps=14").code, 0);
  drawn("", "h.npz");
  EXPECT_THAT(err_, HasSubstr("was found at step 12, the run is at step 14 now: it is not followed"));
}

TEST_F(TuneProgram, WhatItStoresIsFollowed) {
  train_run("--set sample.guidance=20 --set train.steps=12 --set condition.change=0.2");
  const auto done = sdg("tune run --guidance 1,2 --begin 0 --end 1 --images 800 --least 16 --resamples 20");
  ASSERT_EQ(done.code, 0) << done.err;
  ASSERT_TRUE(result()["stored"].get<bool>()) << "a strength of 20 is the best";
  const auto tuned = study::read_tuned(folder_ / "run");
  ASSERT_TRUE(tuned);
  EXPECT_EQ(tuned->options.at("guide"), "null");
  EXPECT_EQ(drawn("", "a.npz"), drawn("--untuned --guidance " + tuned->options.at("guidance"), "b.npz"));
  // What the command line says is not said to be tuned.
  drawn("--guidance 1.5", "c.npz");
  EXPECT_THAT(err_, HasSubstr("drawing as tuned (run/sampling.json): guidance_begin 0, "));
  auto wrong = *tuned;
  wrong.options["guide"] = "\"null\"";
  study::write_tuned(folder_ / "run", wrong);
  expect_failure(sdg("sample --run run --count 2"), 1, "run/sampling.json: guide: expected one of null");
  expect_failure(sdg("tune run --images 64"), 2,
                 "--images: 64 are not enough for two settings of 64 (--least); give 128");
}

TEST_F(TuneProgram, SearchesTheInnerHeadsStrengthOfRunsWithoutConditionsToo) {
  ASSERT_EQ(sdg("train --run inner " + test::kTiny + "--set condition.source=none --set guided.inner=1").code, 0);
  const auto done = sdg("tune inner --inner-guidance 1,3 --images 600 --least 16 --resamples 20 --json");
  ASSERT_EQ(done.code, 0) << done.err;
  const auto found = result("inner");
  std::set<std::string> seen;
  double at_1 = 0, at_3 = 0;
  for (const auto& each : found["points"]) {
    ASSERT_EQ(each["point"].size(), 1U) << "nothing else is there to tune";
    seen.insert(each["point"]["inner_guidance"]);
    (each["point"]["inner_guidance"] == "3" ? at_3 : at_1) = each["distance"]["value"];
  }
  EXPECT_EQ(seen, (std::set<std::string>{"1", "3"}));
  EXPECT_NE(at_1, at_3) << "the strength reaches the network";

  study::Tuned tuned;
  tuned.step = found["step"];
  tuned.options = {{"inner_guidance", "3"}};
  study::write_tuned(folder_ / "inner", tuned);
  for (const auto& [options, out] : {std::pair("", "a.npz"), std::pair("--untuned --inner-guidance 3", "b.npz")})
    ASSERT_EQ(sdg(cat("sample --run inner --count 16 --npz ", out, " ", options)).code, 0);
  EXPECT_EQ(test::read_text(folder_ / "a.npz"), test::read_text(folder_ / "b.npz"));
}

TEST_F(TuneProgram, AsksANetworkThatIsToldTheStrengthForNoneBeyondWhatItLearned) {
  train_run("--set guided.learn=gft --set guided.weakest=0.5 --set sample.guide=input");
  ASSERT_EQ(sdg("tune run --begin 0 --end 1 --images 800 --least 16 --resamples 20").code, 0);
  const auto found = result();
  std::set<double> seen;
  for (const auto& each : found["points"]) seen.insert(std::stod(each["point"]["guidance"].get<std::string>()));
  EXPECT_LE(*seen.rbegin(), 2);
  EXPECT_TRUE(seen.contains(2)) << "the strongest it knows is looked at";
  expect_failure(sdg("tune run --guidance 1,4"), 2, "--guidance 4: guide input: this network knows guidance 1 to 2");
}

TEST_F(TuneProgram, StoppedGoesOnToTheSameResult) {
  train_run();
  ASSERT_EQ(sdg("tune run " + kFew).code, 0);
  const auto whole = result();
  std::filesystem::remove_all(folder_ / "run/tune");
  test::RunningProgram running(folder_.path(), "tune run " + kFew);
  // Stopped as soon as something was drawn; where it was faster than that it is simply done.
  for (int i = 0; i < 2000 && !std::filesystem::exists(folder_ / "run/tune/work"); ++i) ::usleep(5000);
  ::usleep(100000);
  running.send(SIGTERM);
  const auto stopped = running.wait();
  if (stopped.code != 0) {
    EXPECT_EQ(stopped.code, 143) << stopped.err;
    EXPECT_THAT(stopped.err, HasSubstr("the same command goes on"));
    ASSERT_EQ(sdg("tune run " + kFew).code, 0);
  }
  auto again = result();
  for (const auto* key : {"best", "images", "points", "rounds", "proof"}) EXPECT_EQ(again[key], whole[key]) << key;
}

TEST_F(TuneProgram, RefusesInOneLine) {
  train_run();
  expect_failure(sdg("tune run --images 100 --seconds 3"), 2, "--seconds: the budget is --images or --seconds");
  expect_failure(sdg("tune run --width 0.1"), 2, "--width: this run kept no averages (average.track)");
  expect_failure(sdg("tune run --guide-step 3"), 2, "--guide-step: this run kept no averages");
  expect_failure(sdg("tune run --inner-guidance 1,2"), 2, "--inner-guidance: this network has no inner head");
  expect_failure(sdg("tune run --begin 0.9 --end 0.5"), 2, "--begin 0.9 is after --end 0.5");
  expect_failure(sdg("tune nowhere"), 2, "nowhere: no checkpoint there");
  ASSERT_EQ(sdg("train --run none " + test::kTiny + "--set condition.source=none").code, 0);
  expect_failure(sdg("tune none"), 2,
                 "draws without conditions, has no inner head (guided.inner) and kept no averages");
  test::write_text(folder_ / "run/sampling.json", "{}");
  expect_failure(sdg("sample --run run"), 1, "run/sampling.json: not written by sdg tune");
  test::write_text(folder_ / "run/sampling.json",
                   R"({"format":"sdg-sampling-1","step":6,"options":{},"average":"../x","guide":"","found":""})");
  expect_failure(sdg("sample --run run"), 1, "../x is not within the run's folder");
}
