// Guidance at one call: the inner head's, and the strength as an input; by hand, and what each costs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "generate/drawing.h"
#include "sdg/core/error.h"
#include "sdg/generate/generate.h"
#include "support/tiny_run.h"

using namespace sdg;
using ::testing::HasSubstr;

namespace {

constexpr int64_t kSteps = 4;

class LearnedGuidance : public ::testing::Test {
 protected:
  LearnedGuidance() {
    request_.sample.count = 16;
    request_.sample.steps = kSteps;
    request_.sample.seed = 4;
  }

  // A network of labels (or of none) with an inner head, which may be told the strength.
  void make(const std::string& learn = "none", const std::string& source = "label", int64_t inner = 1) {
    config_ = test::tiny_config("unused", source);
    config_.guided.inner = inner;
    test::named(config_.guided.learn, learn);
    const bool labels = source == "label";
    network_ = network::build_network(config_, labels ? 4 : 0, at::kCPU);
    prior_ = labels ? at::tensor({0.1, 0.2, 0.3, 0.4}, at::kDouble) : Tensor();
    const at::NoGradGuard no_grad;
    for (auto& item : network_.model->named_parameters())
      item.value().add_(rng::normal({9, rng::Purpose::kTest, rng::hash(item.key())}, {0}, item.value().sizes())[0],
                        0.1);
    network_.set_training(false);
  }

  Tensor draw() {
    auto request = request_;
    request.latents = true;
    request.effort = effort_ = std::make_shared<generate::Effort>();
    return generate::generate(config_, network_, prior_, at::kCPU, request).latents;
  }
  double calls() const { return effort_->calls_per_image(); }

  // Euler steps with a velocity of the test's own.
  using Field = std::function<Tensor(const Tensor& x, double t, const model::Condition& given)>;
  Tensor by_hand(const Field& field) const {
    const at::NoGradGuard no_grad;
    const generate::Drawing drawing{config_, network_, prior_, at::kCPU, request_};
    const auto samples = rng::consecutive(0, 16);
    auto x = drawing.draw_noise(samples);
    const auto given = prior_.defined() ? network::condition_for(config_, network_, drawing.draw_clusters(samples))
                                        : model::Condition::unconditional();
    for (int64_t i = 0; i < kSteps; ++i) {
      const double t = static_cast<double>(i) / kSteps;
      x = x + field(x, t, given) / static_cast<double>(kSteps);
    }
    return x;
  }
  Tensor outer(const Tensor& x, double t, const model::Condition& told) const {
    return network_.velocity(x, at::full({16}, t), told);
  }
  Tensor led(const Tensor& x, double t, const model::Condition& told, double w) const {
    const auto said = network_.answer(x, at::full({16}, t), told, true);
    return said.inner + w * (said.velocity - said.inner);
  }
  std::string problem() {
    return test::message_of<UsageError>([&] { draw(); });
  }

  recipe::RunConfig config_;
  network::Network network_;
  Tensor prior_;
  generate::Request request_;
  std::shared_ptr<generate::Effort> effort_;
};

double difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

}  // namespace

TEST_F(LearnedGuidance, OfAnInnerHeadIsOneCallWithAndWithoutConditions) {
  for (const std::string source : {"label", "none"}) {
    make("none", source);
    request_.sample.inner_guidance = 1.7;
    const auto drawn = draw();
    EXPECT_EQ(calls(), kSteps);
    EXPECT_LT(
        difference(drawn, by_hand([&](const auto& x, double t, const auto& given) { return led(x, t, given, 1.7); })),
        1e-4);
    request_.sample.inner_guidance = 1;
    EXPECT_GT(difference(drawn, draw()), 1e-2);
    EXPECT_EQ(calls(), kSteps);
  }
}

TEST_F(LearnedGuidance, OfAnInnerHeadActsOnBothAnswersAndWithinItsTimes) {
  make();
  request_.sample.guidance = 2;
  request_.sample.inner_guidance = 1.4;
  request_.sample.inner_guidance_end = 0.3;  // at 0 and 0.25
  request_.sample.guidance_begin = 0.2;      // from 0.25 on
  const auto drawn = draw();
  EXPECT_EQ(calls(), 1 + 2 * 3);
  const auto field = [&](const Tensor& x, double t, const model::Condition& given) {
    const double inner = t < 0.3 ? 1.4 : 1, w = t > 0.2 ? 2 : 1;
    const auto c = led(x, t, given, inner), u = led(x, t, model::Condition::null(), inner);
    return u + w * (c - u);
  };
  EXPECT_LT(difference(drawn, by_hand(field)), 1e-4);
}

TEST_F(LearnedGuidance, AsAnInputIsOneCallAtEveryStrength) {
  make("gft");
  request_.sample.guide = sample::Guide::kInput;
  request_.sample.guidance = 2.5;
  request_.sample.guidance_end = 0.5;
  const auto drawn = draw();
  EXPECT_EQ(calls(), kSteps);
  const auto field = [&](const Tensor& x, double t, const model::Condition& given) {
    auto told = given;
    told.strength = at::full({16}, t <= 0.5 ? 1 / 2.5 : 1);
    return outer(x, t, told);
  };
  EXPECT_LT(difference(drawn, by_hand(field)), 1e-4);
  request_.sample.guide = sample::Guide::kNull;
  EXPECT_GT(difference(drawn, draw()), 1e-2) << "the same strength by two calls is another field";
  EXPECT_EQ(calls(), 3 * 2 + 1);
  request_.sample.guide = sample::Guide::kInput;
  request_.sample.inner_guidance = 1.5;
  const auto both = [&](const Tensor& x, double t, const model::Condition& given) {
    auto told = given;
    told.strength = at::full({16}, t <= 0.5 ? 1 / 2.5 : 1);
    return led(x, t, told, 1.5);
  };
  EXPECT_LT(difference(draw(), by_hand(both)), 1e-4);
  EXPECT_EQ(calls(), kSteps);
}

// Images that fill up a group are walked too; a solver's stages count each.
TEST_F(LearnedGuidance, EffortIsThatOfAnImageWhateverIsAskedForBesideIt) {
  make();
  request_.sample.guidance = 1.5;
  for (const int64_t count : {1, 16, 40}) {
    request_.sample.count = count;
    draw();
    EXPECT_EQ(calls(), 2 * kSteps) << count;
  }
  request_.sample.solver = sample::Solver::kHeun;
  draw();
  EXPECT_EQ(calls(), 4 * kSteps);
  request_.sample.grid = sample::Grid::kFitted;
  draw();
  EXPECT_EQ(calls(), 4 * kSteps) << "what a grid is fitted to is no image";
}

TEST_F(LearnedGuidance, IsRefusedOfANetworkThatDidNotLearnIt) {
  make("none", "label", -1);
  request_.sample.inner_guidance = 1.5;
  EXPECT_THAT(problem(), HasSubstr("inner_guidance: this network has no inner head to lead away from"));
  request_.sample.inner_guidance = 1;
  request_.sample.guide = sample::Guide::kInput;
  request_.sample.guidance = 1.5;
  EXPECT_THAT(problem(), HasSubstr("guide input: this network is not told the strength"));
  make("gft");
  request_.sample.guidance = 4;
  EXPECT_THAT(problem(), HasSubstr("this network knows guidance 1 to 3.33333 (guided.weakest 0.3), got 4"));
  request_.sample.guidance = 0.5;
  EXPECT_THAT(problem(), HasSubstr("knows guidance 1 to"));
  request_.sample.guidance = 2.5;
  request_.sample.guidance_schedule = sample::Schedule::kRising;
  EXPECT_THAT(problem(), HasSubstr("got 4")) << "at its height";
  request_.sample.guidance_schedule = sample::Schedule::kConstant;
  request_.sample.guidance_convention = sample::Convention::kDit;
  EXPECT_THAT(problem(), HasSubstr("guide input: guides all channels"));
}
