// Guidance that training puts into the network: its targets by hand, their optima in closed form, and their place in a
// step.
#include "sdg/learn/guided_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "sdg/core/rng.h"
#include "sdg/learn/learner.h"
#include "support/made_batch.h"
#include "support/shaken.h"
#include "support/tiny_run.h"

using namespace sdg;

namespace {

Tensor made(int64_t of, at::IntArrayRef shape) {
  return rng::normal({6, rng::Purpose::kTest, 0}, {of}, shape)[0].to(at::kDouble);
}

double difference(const Tensor& a, const Tensor& b) {
  return (a - b).abs().max().item<double>();
}

flow::TrainingPoint point_of(const Tensor& target, const Tensor& weight = {}) {
  flow::TrainingPoint out;
  out.target = target;
  out.weight = weight;
  return out;
}

// Velocities at one x_t of a mixture: two conditions of shares 1/4 and 3/4, whose velocities scatter about means.
struct Mixture {
  static constexpr int64_t kDraws = 4000;
  Tensor means = at::tensor({-1.0, 2.0}, at::kDouble);
  Tensor of = at::arange(kDraws).remainder(4).ge(1).to(at::kLong);                           // [N] 0, 1, 1, 1, 0, …
  Tensor u = (means.index_select(0, of) + made(1, {kDraws}) * 0.5).view({kDraws, 1, 1, 1});  // [N, 1, 1, 1]
  double mean_of(int64_t c) const { return u.flatten().masked_select(of.eq(c)).mean().item<double>(); }
  double mean() const { return u.mean().item<double>(); }
};

// The number that a free prediction for one condition comes to: weighted least squares.
double optimum(const flow::TrainingPoint& point, const Tensor& chosen) {
  const auto target = point.target.flatten().masked_select(chosen);
  const auto weight = point.weight.defined() ? point.weight.masked_select(chosen) : at::ones_like(target);
  return (weight * target).sum().item<double>() / weight.sum().item<double>();
}

}  // namespace

TEST(GuidedTarget, OfGftIsItsLossWrittenAsATargetAndAWeight) {
  const auto u = made(0, {4, 2, 3, 3}), v = made(1, {4, 2, 3, 3}), v_0 = made(2, {4, 2, 3, 3});
  const auto b = at::tensor({0.3, 0.5, 0.9, 1.0}, at::kDouble), weight = at::tensor({1.0, 2.0, 0.5, 3.0}, at::kDouble);
  const auto wide = b.view({4, 1, 1, 1});
  const auto expected = (wide * v + (1 - wide) * v_0 - u).square().flatten(1).mean(1);
  const auto found = learn::aimed_with_strength(point_of(u), v_0, b);
  EXPECT_LT(difference(flow::velocity_loss(v, found.target) * found.weight, expected), 1e-12);
  const auto weighted = learn::aimed_with_strength(point_of(u, weight), v_0, b);
  EXPECT_LT(difference(flow::velocity_loss(v, weighted.target) * weighted.weight, expected * weight), 1e-12);
  EXPECT_TRUE(at::equal(found.target[3], u[3])) << "strength 1 is plain training";
  EXPECT_EQ(found.weight[3].item<double>(), 1);
}

TEST(GuidedTarget, OfMgAddsTheAveragesDifference) {
  const auto u = made(0, {2, 1, 2, 2}), with = made(1, {2, 1, 2, 2}), without = made(2, {2, 1, 2, 2});
  const auto found = learn::aimed_at_guided(point_of(u), with, without, at::tensor({0.0, 0.4}, at::kDouble)).target;
  EXPECT_TRUE(at::equal(found[0], u[0])) << "a dropped condition is trained as always";
  for (int64_t k = 0; k < 4; ++k) {
    const auto at_k = [&](const Tensor& of) { return of[1].flatten()[k].item<double>(); };
    EXPECT_NEAR(at_k(found), at_k(u) + 0.4 * (at_k(with) - at_k(without)), 1e-12);
  }
}

TEST(GuidedTarget, OfGftHasTheGuidedVelocityForItsOptimum) {
  const Mixture mixture;
  const auto v_0 = at::full_like(mixture.u, mixture.mean());
  for (const double w : {1.0, 1.5, 2.0, 3.0}) {
    const auto b = at::full({Mixture::kDraws}, 1 / w, at::kDouble);
    const auto point = learn::aimed_with_strength(point_of(mixture.u), v_0, b);
    for (const int64_t c : {0, 1}) {
      const double guided = mixture.mean() + w * (mixture.mean_of(c) - mixture.mean());
      EXPECT_NEAR(optimum(point, mixture.of.eq(c)), guided, 1e-9) << w << " " << c;
    }
  }
}

// The average follows until nothing moves: from E[u | c] to guidance of `scale`.
TEST(GuidedTarget, OfMgHasGuidanceOfItsScaleForItsFixedPoint) {
  const Mixture mixture;
  for (const double scale : {1.0, 1.5, 3.0}) {
    double v[2] = {mixture.mean_of(0), mixture.mean_of(1)};
    const double v_0 = mixture.mean();  // of images without their condition, whose targets stay
    const auto k = at::full({Mixture::kDraws}, 1 - 1 / scale, at::kDouble);
    for (int turn = 0; turn < 200; ++turn) {
      const auto with = at::tensor({v[0], v[1]}, at::kDouble).index_select(0, mixture.of).view_as(mixture.u);
      const auto point = learn::aimed_at_guided(point_of(mixture.u), with, at::full_like(mixture.u, v_0), k);
      for (const int64_t c : {0, 1}) v[c] = optimum(point, mixture.of.eq(c));
    }
    for (const int64_t c : {0, 1})
      EXPECT_NEAR(v[c], v_0 + scale * (mixture.mean_of(c) - v_0), 1e-9) << scale << " " << c;
  }
}

// --- in a step

namespace {

recipe::RunConfig config_of(const std::string& learn, const std::string& source = "label") {
  auto config = test::tiny_config("unused", source);
  test::named(config.guided.learn, learn);
  config.condition.drop = 0.4;
  config.train.clip = 0;
  return config;
}

const Tensor kLabels = at::arange(40, at::kLong) % 4;

// The step's loss and gradient by the formulas, from the learner's own networks and draws.
std::pair<double, Tensor> by_hand(learn::Learner& learner, const recipe::RunConfig& config, const data::Batch& batch) {
  using recipe::LearnGuidance;
  const auto& net = *learner.student().model;
  const auto draws = learn::counter_draws(config, net.patch_tokens())(batch.sample, {1, 8, 8});
  const auto t = draws.t.view({-1, 1, 1, 1});
  const double s = config.flow.sigma_min;
  const auto x_t = t * batch.x + (1 - (1 - s) * t) * draws.eps, u = batch.x - (1 - s) * draws.eps;
  const auto ids = kLabels.index_select(0, at::tensor(batch.index));
  const auto kept = draws.drop.logical_not().to(at::kFloat).view({-1, 1, 1, 1});
  const auto says = [&](network::Network& network, model::Condition told, const Tensor& strength = {}) {
    told.strength = strength;
    return network.model->forward(x_t, draws.t, told).prediction;
  };
  const auto given = model::Condition::given(ids, draws.drop);
  Tensor error;
  if (config.guided.learn == LearnGuidance::kGft) {
    const auto b = at::where(draws.drop, at::ones_like(draws.strength), draws.strength);
    const auto v_0 = says(learner.student(), model::Condition::null()).detach();
    const auto wide = b.view({-1, 1, 1, 1});
    error = wide * says(learner.student(), given, b) + (1 - wide) * v_0 - u;
  } else {
    const auto with = says(learner.teacher(), given).detach();
    const auto without = says(learner.teacher(), model::Condition::null()).detach();
    error = says(learner.student(), given) - (u + kept * (1 - 1 / config.guided.scale) * (with - without));
  }
  const auto loss = error.square().flatten(1).mean(1).mean();
  std::vector<Tensor> parameters, pieces;
  for (const auto& parameter : net.parameters()) {
    if (parameter.requires_grad()) parameters.push_back(parameter);
  }
  const auto gradients = torch::autograd::grad({loss}, parameters, {}, {}, false, /*allow_unused=*/true);
  for (size_t i = 0; i < gradients.size(); ++i)
    pieces.push_back((gradients[i].defined() ? gradients[i] : at::zeros_like(parameters[i])).flatten());
  return {loss.item<double>(), at::cat(pieces)};
}

}  // namespace

TEST(AGuidedStep, HasTheLossAndGradientOfTheFormulas) {
  for (const std::string name : {"gft", "mg"}) {
    const auto config = config_of(name);
    learn::Learner learner(config, at::kCPU, kLabels, 4, 40);
    test::shake(learner);
    const auto [loss, gradient] = by_hand(learner, config, test::made_batch(0));
    const auto result = learner.step(test::made_batch(0));
    EXPECT_NEAR(result.flow_loss, loss, 1e-5 * loss) << name;
    EXPECT_LT(difference(result.gradient, gradient), 1e-5 * gradient.abs().max().item<double>() + 1e-6) << name;
  }
}

TEST(AGuidedStep, IsAPlainStepAtScaleOneAndStrengthOne) {
  auto plain = config_of("none");
  learn::Learner expected(plain, at::kCPU, kLabels, 4, 40);
  const auto first = expected.step(test::made_batch(0));
  auto mg = config_of("mg");
  mg.guided.scale = 1;
  learn::Learner with_mg(mg, at::kCPU, kLabels, 4, 40);
  const auto result = with_mg.step(test::made_batch(0));
  EXPECT_EQ(result.flow_loss, first.flow_loss);
  EXPECT_TRUE(at::equal(result.gradient, first.gradient));
  auto gft = config_of("gft");
  gft.guided.weakest = 1;
  learn::Learner with_gft(gft, at::kCPU, kLabels, 4, 40);
  EXPECT_NEAR(with_gft.step(test::made_batch(0)).flow_loss, first.flow_loss, 1e-6 * first.flow_loss);
}

TEST(AGuidedStep, ChangesNothingBeforeConditionsAndItsStart) {
  for (const std::string name : {"gft", "mg"}) {
    for (const bool by_start : {false, true}) {
      auto guided = config_of(name, by_start ? "label" : "online"), plain = guided;
      plain.guided.start = 1;  // never
      if (by_start) guided.guided.start = 0.4;
      guided.condition.change = plain.condition.change = 0.4;
      const auto ids = by_start ? kLabels : Tensor();
      learn::Learner a(guided, at::kCPU, ids, by_start ? 4 : 0, 40), b(plain, at::kCPU, ids, by_start ? 4 : 0, 40);
      for (int64_t step = 0; step < 4; ++step)
        EXPECT_EQ(a.step(test::made_batch(step)).flow_loss, b.step(test::made_batch(step)).flow_loss)
            << name << " " << step;
      EXPECT_GT(std::abs(a.step(test::made_batch(4)).flow_loss - b.step(test::made_batch(4)).flow_loss), 1e-5) << name;
    }
  }
}

TEST(AGuidedStep, DrawsStrengthsBySampleAlone) {
  auto config = config_of("gft");
  config.guided.weakest = 0.25;
  const auto draw = learn::counter_draws(config, 4);
  const auto all = draw(rng::consecutive(0, 1000), {1, 2, 2}).strength;
  EXPECT_TRUE(at::equal(draw({7, 3}, {1, 2, 2}).strength, at::stack({all[7], all[3]})));
  EXPECT_GE(all.min().item<double>(), 0.25);
  EXPECT_LT(all.max().item<double>(), 1.0001);
  EXPECT_NEAR(all.mean().item<double>(), 0.625, 0.03);
  EXPECT_FALSE(learn::counter_draws(config_of("mg"), 4)({0}, {1, 2, 2}).strength.defined());
}
