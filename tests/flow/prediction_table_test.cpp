#include "sdg/flow/prediction_table.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"

using namespace sdg;
using flow::Path;
using flow::Prediction;
using flow::Target;

namespace {

// Data N(m, c^2) in every pixel, of which everything is known in closed form.
constexpr double kMean = 0.4, kStd = 0.3;

struct Expected {
  Tensor x, eps;
};

// E[x | z] and E[eps | z] for z = a x + b eps; a, b [N, 1, 1, 1].
Expected expected(const Tensor& z, const Tensor& a, const Tensor& b) {
  const auto variance = a.square() * kStd * kStd + b.square();
  const auto surprise = (z - a * kMean) / variance;
  return {kMean + a * kStd * kStd * surprise, b * surprise};
}

// sqrt(abar) between the steps, one number at a time: the log signal-to-noise ratio is linear in n.
std::pair<double, double> level(Path path, double n) {
  const auto abar = flow::alphas_cumprod(path);
  const auto ratio = [&](int64_t i) {
    const double value = abar[i].item<double>();
    return 0.5 * std::log(value / (1 - value));
  };
  const auto low = std::min<int64_t>(998, static_cast<int64_t>(n));
  const double share = n - static_cast<double>(low), l = (1 - share) * ratio(low) + share * ratio(low + 1);
  const double a = 1 / std::sqrt(1 + std::exp(-2 * l));
  return {a, std::sqrt(1 - a * a)};
}

// a and b at the time that a network of that path is told.
std::pair<double, double> told_level(const Prediction& kind, double sigma_min, double t) {
  if (kind.path == Path::kStraight) return {t, 1 - (1 - sigma_min) * t};
  if (flow::has_steps(kind.path)) return level(kind.path, t - flow::first_step(kind.path));
  const auto at = flow::coefficients(kind.path == Path::kGvp ? flow::Interpolant::kGvp : flow::Interpolant::kVp, t);
  return {at.a, at.b};
}

// dx_t/dt of gvp and vp.
Tensor own_velocity(Path path, const Expected& known, const Tensor& time) {
  std::vector<double> da, db;
  for (int64_t i = 0; i < time.size(0); ++i) {
    const auto at = flow::coefficients(path == Path::kGvp ? flow::Interpolant::kGvp : flow::Interpolant::kVp,
                                       time[i].item<double>());
    da.push_back(at.da);
    db.push_back(at.db);
  }
  return at::tensor(da, at::kDouble).view({-1, 1, 1, 1}) * known.x +
         at::tensor(db, at::kDouble).view({-1, 1, 1, 1}) * known.eps;
}

// The perfect network of that kind: sees nothing but its input and its time.
Tensor perfect_network(const Prediction& kind, double sigma_min, const Tensor& input, const Tensor& time) {
  std::vector<double> signal, noise;
  for (int64_t i = 0; i < time.size(0); ++i) {
    const double t = time[i].item<double>();
    const auto [a, b] = told_level(kind, sigma_min, t);
    signal.push_back(a);
    noise.push_back(b);
  }
  const auto a = at::tensor(signal, at::kDouble).view({-1, 1, 1, 1}),
             b = at::tensor(noise, at::kDouble).view({-1, 1, 1, 1});
  const auto known = expected(input, a, b);
  switch (kind.target) {
    case Target::kNoise:
      return known.eps;
    case Target::kData:
      return known.x;
    case Target::kScore:
      return -known.eps / b;
    case Target::kVelocity:
      break;
  }
  if (kind.path == Path::kStraight) return known.x - (1 - sigma_min) * known.eps;
  return flow::has_steps(kind.path) ? a * known.eps - b * known.x : own_velocity(kind.path, known, time);
}

Tensor normal(int64_t n, uint64_t seed) {
  return rng::normal({seed, rng::Purpose::kTest, 0}, rng::consecutive(0, n), {2, 3, 3}).to(at::kDouble);
}

Tensor converted(const Prediction& kind, double sigma_min, const Tensor& x_t, const Tensor& t) {
  const flow::PredictionTable table(kind, sigma_min);
  const auto point = table.at(x_t, t);
  return table.velocity(perfect_network(kind, sigma_min, point.input, point.time), point);
}

Tensor exact(double sigma_min, const Tensor& x_t, const Tensor& t) {
  const auto a = t.view({-1, 1, 1, 1}), b = 1 - (1 - sigma_min) * a;
  const auto known = expected(x_t, a, b);
  return known.x - (1 - sigma_min) * known.eps;
}

class EveryPrediction : public testing::TestWithParam<std::tuple<Target, Path>> {
 protected:
  Prediction kind() const { return {std::get<0>(GetParam()), std::get<1>(GetParam())}; }
};

}  // namespace

TEST_P(EveryPrediction, OfAPerfectNetworkGivesTheExactVelocity) {
  const auto t = at::tensor({.07, .1, .25, .5, .77, .85, .9, .95, .96}, at::kDouble);  // within all paths' steps
  for (const double sigma_min : {0.0, 1e-4, 0.05}) {
    const auto x_t = normal(t.size(0), 3) * 0.8 + 0.1;
    const auto found = converted(kind(), sigma_min, x_t, t), wanted = exact(sigma_min, x_t, t);
    EXPECT_LT((found - wanted).abs().max().item<double>(), 1e-7) << sigma_min;
  }
}

TEST_P(EveryPrediction, StaysCloseAndFiniteAtTheEndsOfThePath) {
  const auto t = at::tensor({0.0, 1e-4, .002, .995, .9999, 1.0}, at::kDouble);
  for (const double sigma_min : {0.0, 1e-4}) {
    const auto a = t.view({-1, 1, 1, 1});
    const auto x_t =
        a * (kMean + kStd * normal(6, 4)) + (1 - (1 - sigma_min) * a) * normal(6, 5);  // points of the path
    const auto found = converted(kind(), sigma_min, x_t, t), wanted = exact(sigma_min, x_t, t);
    EXPECT_TRUE(at::isfinite(found).all().item<bool>());
    // A network told of the cleanest step blames b of that step on noise: b_0 / c^2 of what the data leaves
    // unexplained.
    const double blamed = kind().path == Path::kStableDiffusion ? 0.5 : 0.2;
    EXPECT_LT((found - wanted).abs().max().item<double>(), blamed) << sigma_min;
  }
}

// The velocity of Gaussian data carries noise to m + c noise: what a sampler must arrive at.
TEST_P(EveryPrediction, SamplesTheDataWithAnyOdeSampler) {
  const auto noise = normal(4, 6);
  const auto wanted = kMean + kStd * noise;
  for (const auto solver : {sample::Solver::kEuler, sample::Solver::kHeun}) {
    const sample::Denoiser velocity([&](const Tensor& x_t, double time) {
      return converted(kind(), flow::kSigmaMin, x_t, at::full({x_t.size(0)}, time, at::kDouble));
    });
    const auto end = sample::run({.solver = solver}, velocity, noise, sample::uniform_grid(200));
    EXPECT_LT((end - wanted).abs().max().item<double>(), 0.02) << config::name(solver);
  }
}

// A draw of training and a look while sampling are the same point, and the target there means the draw's own velocity.
TEST_P(EveryPrediction, TrainsOnWhatTheTableConverts) {
  const auto u = at::tensor({.0312, .2, .4567, .7, .951}, at::kDouble);
  const auto x = kMean + kStd * normal(5, 7), eps = normal(5, 8);
  for (const double sigma_min : {1e-4, 0.05}) {
    const flow::PredictionTable table(kind(), sigma_min);
    const auto drawn = table.training_point(x, eps, u);
    const auto path = flow::constant_velocity(x, eps, drawn.t, sigma_min);
    const auto point = table.at(path.x_t, drawn.t);
    EXPECT_LT((point.input - drawn.input).abs().max().item<double>(), 1e-9);
    EXPECT_LT((point.time - drawn.time).abs().max().item<double>(), 1e-6);
    EXPECT_LT((table.velocity(drawn.target, point) - path.velocity).abs().max().item<double>(), 1e-6);
    if (!flow::has_steps(kind().path)) {
      EXPECT_TRUE(at::equal(drawn.time, u));
      if (kind().path == Path::kStraight) EXPECT_TRUE(at::equal(drawn.t, u));
    } else {
      EXPECT_TRUE(at::equal(drawn.time - flow::first_step(kind().path), (u * 1000).floor()));
    }
    const auto weight = drawn.weight.defined() ? drawn.weight : at::ones({5}, at::kDouble);
    if (kind().target != Target::kVelocity && kind().target != Target::kData) {
      const auto scaled = (drawn.target.square() * weight.view({-1, 1, 1, 1})).flatten(1).mean(1);
      EXPECT_LT((scaled - eps.square().flatten(1).mean(1)).abs().max().item<double>(), 1e-9) << "not of unit scale";
    }
  }
}

TEST_P(EveryPrediction, AtItsOwnGridAnEulerStepIsADdimStep) {
  if (kind().path == Path::kStraight) {
    EXPECT_EQ(flow::PredictionTable(kind()).own_grid(7), sample::uniform_grid(7));
    return;
  }
  constexpr int64_t kSteps = 9;
  const double s = flow::kSigmaMin;
  const auto grid = flow::PredictionTable(kind(), s).own_grid(kSteps);
  ASSERT_EQ(grid.size(), kSteps + 1);
  EXPECT_EQ(grid.front(), 0);
  EXPECT_EQ(grid.back(), 1);
  const auto norm = [&](double t) { return std::hypot(t, 1 - (1 - s) * t); };

  // Between the ends, where DDIM's first and last steps are no noise and no data.
  const std::vector<double> inner(grid.begin() + 1, grid.end() - 1);
  const auto begin = normal(3, 9);
  const sample::Denoiser velocity([&](const Tensor& x_t, double time) {
    return converted(kind(), s, x_t, at::full({x_t.size(0)}, time, at::kDouble));
  });
  const auto found = sample::run({}, velocity, begin, inner);

  auto z = begin / norm(inner.front());  // variance preserving
  for (int64_t i = 1; i + 1 < kSteps; ++i) {
    const auto step = [&](int64_t k) {
      const double share = static_cast<double>(k) / kSteps;
      return flow::has_steps(kind().path) ? 999.0 * (1 - share) + flow::first_step(kind().path) : share;
    };
    const auto [a, b] = told_level(kind(), s, step(i));
    const auto [a_next, b_next] = told_level(kind(), s, step(i + 1));
    const auto known = expected(z, at::full({1, 1, 1, 1}, a, at::kDouble), at::full({1, 1, 1, 1}, b, at::kDouble));
    z = a_next * known.x + b_next * known.eps;
  }
  EXPECT_LT((found / norm(inner.back()) - z).abs().max().item<double>(), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, EveryPrediction,
    testing::Combine(testing::Values(Target::kVelocity, Target::kNoise, Target::kData, Target::kScore),
                     testing::Values(Path::kStraight, Path::kLinear, Path::kCosine, Path::kSqrtLinear,
                                     Path::kStableDiffusion, Path::kGvp, Path::kVp)));

TEST(PredictionTable, LeavesAPlainVelocityBitForBit) {
  const flow::PredictionTable table;
  const auto x_t = normal(2, 1), t = at::tensor({0.0, 1.0}, at::kDouble), answer = normal(2, 2);
  const auto point = table.at(x_t, t);
  EXPECT_TRUE(point.input.is_same(x_t));
  EXPECT_TRUE(point.time.is_same(t));
  EXPECT_TRUE(table.velocity(answer, point).is_same(answer));
}

// A network that knows nothing of the data is a field like any other: walked on its own path or, converted, on ours, it
// leads from the same noise to the same image.
TEST(PredictionTable, APathOfSitIsWalkedToTheSameEndOnOurs) {
  const auto begin = normal(3, 11);
  const auto network = [](const Tensor& z, const Tensor& t) {
    return at::sin(2 * z) + at::cos(3 * t).view({-1, 1, 1, 1}) * z.roll(1, 2);
  };
  const flow::PredictionTable table({Target::kVelocity, Path::kGvp}, 0);
  const sample::Denoiser converted_network(
      [&](const Tensor& x_t, double t) -> sample::Answer {
        const auto point = table.at(x_t, at::full({x_t.size(0)}, t, at::kDouble));
        return table.velocity(network(point.input, point.time), point);
      },
      0);
  const sample::Denoiser own(
      [&](const Tensor& z, double t) -> sample::Answer { return network(z, at::full({z.size(0)}, t, at::kDouble)); },
      0);
  const sample::SampleOptions rk4{.solver = sample::Solver::kRk4};
  const auto there = sample::run(rk4, own, begin, sample::uniform_grid(200));
  const auto ours = sample::run(rk4, converted_network, begin, table.own_grid(200));
  EXPECT_LT((there - ours).abs().max().item<double>(), 1e-6);
  EXPECT_GT((there - begin).abs().max().item<double>(), 0.5);
}

TEST(PredictionTable, RefusesShapesThatDoNotFit) {
  const flow::PredictionTable table({Target::kNoise, Path::kLinear});
  EXPECT_THROW(table.at(normal(2, 1), at::zeros({3}, at::kDouble)), Error);
  const auto point = table.at(normal(2, 1), at::full({2}, 0.5, at::kDouble));
  EXPECT_THROW(table.velocity(at::zeros({2, 4, 3, 3}, at::kDouble), point), Error) << "a learned variance left in";
}
