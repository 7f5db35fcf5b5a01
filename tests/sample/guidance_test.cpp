#include "sdg/sample/guidance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/error.h"

using namespace sdg;
using ::testing::ElementsAre;

TEST(Guide, OneIsConditionalAndZeroIsUnconditionalToTheBit) {
  const auto unconditional = at::linspace(-3, 3, 100) / 7, conditional = at::linspace(5, -11, 100) / 3;
  EXPECT_TRUE(at::equal(sample::guide(unconditional, conditional, 1), conditional));
  EXPECT_TRUE(at::equal(sample::guide(unconditional, conditional, 0), unconditional));
}

TEST(Guide, AboveOneGoesBeyondTheConditional) {
  const auto guided = sample::guide(at::tensor({1., -2.}), at::tensor({2., 0.}), 1.4);
  EXPECT_NEAR(guided[0].item<double>(), 2.4, 1e-6);  // sgfm: v_c + 0.4 (v_c - v_u)
  EXPECT_NEAR(guided[1].item<double>(), 0.8, 1e-6);
}

TEST(Guide, OfTheFirstChannelsLeavesTheRestConditional) {
  const auto u = at::sin(at::arange(64, at::kFloat)).view({2, 8, 2, 2}), c = at::cos(u);
  const auto g = sample::guide(u, c, 2.5, 3);
  EXPECT_TRUE(at::allclose(g.slice(1, 0, 3), (u + 2.5 * (c - u)).slice(1, 0, 3)));
  EXPECT_TRUE(at::equal(g.slice(1, 3), c.slice(1, 3)));
  EXPECT_TRUE(at::equal(sample::guide(u, c, 2.5, 8), sample::guide(u, c, 2.5)));
  EXPECT_EQ(sample::guide(u.slice(1, 0, 1), c.slice(1, 0, 1), 2.5, 3).sizes(), (Shape{2, 1, 2, 2}))
      << "fewer channels than three";
}

TEST(Guide, RefusesTwoShapes) {
  EXPECT_THROW(sample::guide(at::zeros({2, 3}), at::zeros({1, 3}), 2), Error);
}

TEST(Guidance, ActsBetweenItsTimesAndIsOneElsewhere) {
  const sample::Guidance guidance{3, 0.3, 0.9};
  EXPECT_EQ(guidance.at(0.1 + 0.2), 3);
  EXPECT_EQ(guidance.at(1 - 0.1), 3);
  EXPECT_EQ(guidance.at(0.29), 1);
  EXPECT_EQ(guidance.at(0.91), 1);
  EXPECT_FALSE(guidance.whole());
}

// They look beyond the last time, where guidance up to 1 must not end.
TEST(Guidance, IsOpenAtTheEndsForAdaptiveSolvers) {
  const sample::Guidance guidance{3, 0, 1};
  EXPECT_EQ(guidance.at(1.02), 3);
  EXPECT_EQ(guidance.at(-0.01), 3);
  EXPECT_TRUE(guidance.whole());
}

namespace {

// Who was asked at each time.
struct Asked {
  std::vector<std::string> whom;
  sample::Denoiser answering(const std::string& name, double value) {
    return sample::Denoiser([this, name, value](const Tensor& x_t, double) {
      whom.push_back(name);
      return at::full_like(x_t, value);
    });
  }
};

}  // namespace

TEST(Guided, AsksOnlyTheBranchesThatCount) {
  Asked asked;
  const auto conditional = asked.answering("conditional", 5), null = asked.answering("null", 1);
  const auto x = at::zeros({2, 3}, at::kDouble);
  const auto first = [&](const sample::Denoiser& denoiser, double t) {
    return denoiser.velocity(x, t)[0][0].item<double>();
  };
  const auto guided = sample::guided(conditional, null, {2, 0.5, 1});
  EXPECT_EQ(first(guided, 0.2), 5);
  EXPECT_THAT(asked.whom, ElementsAre("conditional"));
  EXPECT_EQ(first(guided, 0.7), 1 + 2 * 4);
  EXPECT_THAT(asked.whom, ElementsAre("conditional", "conditional", "null"));
  asked.whom.clear();
  EXPECT_EQ(first(sample::guided(conditional, null, {0, 0.5, 1}), 0.7), 1);
  EXPECT_THAT(asked.whom, ElementsAre("null"));
}

// Unconditional channels need the null branch, the others the conditional one.
TEST(Guided, StrengthZeroOfSomeChannelsAsksBoth) {
  Asked asked;
  const auto guided = sample::guided(asked.answering("conditional", 5), asked.answering("null", 1), {0, 0, 1, 1});
  const auto v = guided.velocity(at::zeros({1, 2}, at::kDouble), 0.5);
  EXPECT_EQ(v[0][0].item<double>(), 1);
  EXPECT_EQ(v[0][1].item<double>(), 5);
}

TEST(Guided, ReadsBothBranchesFromOnePassWhereThereIsOne) {
  Asked asked;
  const auto both = [&](const Tensor& x_t, double) {
    asked.whom.emplace_back("both");
    return std::pair{at::full_like(x_t, 5), at::full_like(x_t, 1)};
  };
  const auto guided = sample::guided(asked.answering("conditional", 5), asked.answering("null", 1), {1.5, 0, 1}, both);
  EXPECT_EQ(guided.velocity(at::zeros({1}, at::kDouble), 0.5).item<double>(), 1 + 1.5 * 4);
  EXPECT_THAT(asked.whom, ElementsAre("both"));
}

TEST(Guided, OtherFormsAreThoseOfTheGuidedVelocity) {
  Asked asked;
  const auto guided = sample::guided(asked.answering("conditional", 5), asked.answering("null", 1), {2, 0, 1});
  const auto x = at::full({1, 1}, 0.25, at::kDouble);
  EXPECT_NEAR(guided.at(x, 0.5).noise().item<double>(), 0.25 - 0.5 * 9, 1e-12);
}

TEST(Guidance, SchedulesHaveTheMeanOfTheConstantOne) {
  for (const auto schedule : {sample::Schedule::kConstant, sample::Schedule::kRising, sample::Schedule::kFalling,
                              sample::Schedule::kMiddle}) {
    sample::Guidance guidance{.w = 3};
    guidance.schedule = schedule;
    double sum = 0;
    for (int i = 0; i < 1000; ++i) sum += guidance.at((i + 0.5) / 1000);
    EXPECT_NEAR(sum / 1000, 3, 1e-6) << config::name(schedule);
  }
  sample::Guidance rising{.w = 3};
  rising.schedule = sample::Schedule::kRising;
  EXPECT_DOUBLE_EQ(rising.at(0.25), 2);
  rising.begin = 0.5;
  EXPECT_DOUBLE_EQ(rising.at(0.25), 1) << "outside of its interval";
}

// Each public convention is one of ours: the paper's c + s (c - u), DiT's first three channels, imagen's w.
TEST(Guidance, ConventionsAreThoseOfThePublicCode) {
  sample::SampleOptions options;
  options.guidance = 0.4;
  EXPECT_EQ(sample::guidance_of(options).w, 0.4);
  options.guidance_convention = sample::Convention::kPaper;
  EXPECT_EQ(sample::guidance_of(options).w, 1.4);
  const auto u = at::randn({2, 4}), c = at::randn({2, 4});
  EXPECT_TRUE(at::allclose(sample::guide(u, c, sample::guidance_of(options).w), c + 0.4 * (c - u), 1e-5, 1e-6));
  options.guidance_convention = sample::Convention::kDit;
  EXPECT_EQ(sample::guidance_of(options).channels, 3);
  EXPECT_EQ(sample::guidance_of(options).w, 0.4);
  options.guidance_convention = sample::Convention::kImagen;
  EXPECT_EQ(sample::guidance_of(options).w, 0.4);
}

TEST(Guided, EvaluatesTheDirectionAtEachNthEvaluationAndKeepsItBetween) {
  Asked asked;
  double null_value = 1;
  const auto null = sample::Denoiser([&](const Tensor& x_t, double) {
    asked.whom.emplace_back("null");
    return at::full_like(x_t, null_value);
  });
  sample::Guidance guidance{.w = 2};
  guidance.every = 3;
  const auto guided = sample::guided(asked.answering("conditional", 5), null, guidance);
  const auto x = at::zeros({1}, at::kDouble);
  const auto at = [&](double t) { return guided.velocity(x, t).item<double>(); };
  EXPECT_EQ(at(0.1), 1 + 2 * 4);
  null_value = 3;
  EXPECT_EQ(at(0.2), 5 + 4) << "the direction of before";
  EXPECT_EQ(at(0.3), 5 + 4);
  EXPECT_EQ(at(0.4), 3 + 2 * 2);
  EXPECT_EQ(std::count(asked.whom.begin(), asked.whom.end(), "null"), 2);
  guidance.between = sample::Between::kNone;
  const auto bare = sample::guided(asked.answering("conditional", 5), null, guidance);
  EXPECT_EQ(bare.velocity(x, 0.1).item<double>(), 3 + 2 * 2);
  EXPECT_EQ(bare.velocity(x, 0.2).item<double>(), 5);
}

TEST(Rescaled, HasTheConditionalSpreadOfTheCleanImage) {
  const auto x = at::randn({3, 2, 4, 4}, at::kDouble), c = at::randn_like(x), g = c + 2 * at::randn_like(x);
  const auto spread = [&](const Tensor& v) {
    return flow::data_from_velocity(v, x, at::full({1}, 0.3, at::kDouble)).flatten(1).std(1, true);
  };
  EXPECT_TRUE(at::allclose(spread(sample::rescaled(g, c, x, 0.3, flow::kSigmaMin, 1)), spread(c)));
  EXPECT_TRUE(at::allclose(sample::rescaled(g, c, x, 0.3, flow::kSigmaMin, 0), g));
  const auto half = spread(sample::rescaled(g, c, x, 0.3, flow::kSigmaMin, 0.5));
  EXPECT_TRUE(at::allclose(half, (spread(c) + spread(g)) / 2));
}

TEST(Clipped, BoundsThePredictionOfTheCleanImage) {
  const auto x = at::randn({3, 2, 4, 4}, at::kDouble), v = 3 * at::randn_like(x);
  const sample::Denoiser wild([&](const Tensor&, double) { return v; });
  const auto data = wild.at(x, 0.4).data();
  EXPECT_TRUE(at::allclose(sample::clipped(wild, sample::Clip::kClamp, 1).at(x, 0.4).data(), data.clamp(-1, 1)));
  EXPECT_TRUE(at::equal(sample::clipped(wild, sample::Clip::kNone, 1).velocity(x, 0.4), v));
  const auto dynamic = sample::clipped(wild, sample::Clip::kDynamic, 0.9).at(x, 0.4).data();
  for (int64_t i = 0; i < 3; ++i) {
    const double bound = std::max(1.0, at::quantile(data[i].abs().flatten(), 0.9).item<double>());
    EXPECT_TRUE(at::allclose(dynamic[i], data[i].clamp(-bound, bound) / bound)) << i;
  }
  EXPECT_TRUE(at::equal(sample::clipped(wild, sample::Clip::kClamp, 1).velocity(x, 0.99999), v))
      << "without noise nothing is bounded";
}
