// Guidance at one call on the command line: what a checkpoint can do, what drawing costs, what is refused.
#include <nlohmann/json.hpp>

#include "cli/tiny_program.h"

using namespace sdg;
using test::expect_failure;
using ::testing::HasSubstr;
using ::testing::Not;

namespace {

class LearnedGuidance : public test::Program {};

}  // namespace

TEST_F(LearnedGuidance, IsSaidOfACheckpointAndDrawnAtOneCall) {
  train_run("--set condition.source=label --set guided.inner=1 --set guided.learn=gft ");
  const auto said = sdg("inspect run/checkpoints/last.safetensors");
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_THAT(said.out,
              HasSubstr("guidance: guidance W: away from the null condition (2 network calls an evaluation)"));
  EXPECT_THAT(said.out, HasSubstr("guidance: guide input, guidance 1 to 3.33333: the network is told the strength (1 "
                                  "network call an evaluation)"));
  EXPECT_THAT(said.out, HasSubstr("guidance: inner_guidance W: away from the head after block 1 (1 network call"));
  EXPECT_THAT(said.out, Not(HasSubstr("unexpected")));

  const auto two = sdg("sample --run run --count 2 --out two --guidance 2");
  EXPECT_THAT(two.err, HasSubstr("4 network calls an image (2 euler steps)"));
  EXPECT_THAT(two.err, HasSubstr("can also be guided at 1 call an evaluation: guide input, guidance 1 to 3.33333"));
  const auto one = sdg("sample --run run --count 2 --out one --guidance 2 --guide input --inner-guidance 1.4 --json");
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_THAT(one.err, HasSubstr("2 network calls an image (2 euler steps)"));
  EXPECT_THAT(one.err, Not(HasSubstr("can also be guided")));
  const auto json = nlohmann::json::parse(one.out);
  EXPECT_EQ(json.at("network_calls_per_image"), 2);
  EXPECT_EQ(json.at("options").at("inner_guidance"), 1.4);
  expect_failure(sdg("sample --run run --guidance 5 --guide input"), 2,
                 "guide input: this network knows guidance 1 to 3.33333 (guided.weakest 0.3), got 5");
  expect_failure(sdg("sample --run run --guidance 2 --guide input --guidance-rescale 0.5"), 2,
                 "--guidance-rescale: guide input is one answer");
  expect_failure(sdg("likelihood --run run --inner-guidance 1.5"), 2, "--inner-guidance: a guided velocity");
  expect_failure(sdg("convert run/checkpoints/last.safetensors c.safetensors"), 2,
                 "its inner head or input of the strength");
}

TEST_F(LearnedGuidance, IsRefusedInOneLineWhereItWasNotLearned) {
  train_run();
  const auto said = nlohmann::json::parse(sdg("inspect run/checkpoints/last.safetensors --json").out);
  EXPECT_EQ(said.at("guidance").size(), 2) << "by the null condition and by another one";
  expect_failure(sdg("sample --run run --inner-guidance 1.4"), 2,
                 "inner_guidance: this network has no inner head to lead away from (it was trained without "
                 "guided.inner)");
  expect_failure(sdg("sample --run run --guidance 2 --guide input"), 2,
                 "guide input: this network is not told the strength");
  expect_failure(sdg("sample --run run --inner-guidance-begin 0.2"), 2,
                 "--inner-guidance-begin: inner_guidance is 1 inside as outside");
  const std::string train = "train --run other " + test::kTiny;
  expect_failure(sdg(train + "--set condition.source=none --set guided.learn=gft"), 2,
                 "guided.learn: gft needs conditions");
  expect_failure(sdg(train + "--set guided.learn=mg --set condition.drop=0"), 2, "condition.drop must be above 0");
  expect_failure(sdg(train + "--set sample.inner_guidance=1.4"), 2, "needs a network with an inner head");
  expect_failure(sdg(train + "--set sample.guide=input"), 2, "guided.learn gft), got none");
  expect_failure(sdg(train + "--set guided.inner=2"), 2, "must stand before the last of the blocks 0 to 2, got 2");
}

// An inner head can be added to what was learned without one, and left out again; an input of the strength cannot.
TEST_F(LearnedGuidance, StartsFromWeightsOfNetworksWithoutIt) {
  train_run();
  const auto with = sdg("train --run with " + test::kTiny +
                        "--set model.weights=run/checkpoints/last.safetensors --set guided.inner=0 --set "
                        "guided.learn=gft");
  ASSERT_EQ(with.code, 0) << with.err;
  EXPECT_THAT(with.err, HasSubstr("start anew"));
  expect_failure(sdg("train --run without " + test::kTiny +
                     "--set model.weights=with/checkpoints/last.safetensors --set guided.inner=-1"),
                 1, "strength_embed");
}
