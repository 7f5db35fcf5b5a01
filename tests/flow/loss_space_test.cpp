#include "sdg/flow/loss_space.h"

#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "sdg/config/names.h"
#include "sdg/core/rng.h"
#include "sdg/flow/prediction_table.h"

using namespace sdg;
using flow::LossSpace;
using flow::Path;
using flow::Target;

namespace {

constexpr LossSpace kSpaces[] = {LossSpace::kVelocity, LossSpace::kNoise, LossSpace::kData, LossSpace::kMinSnr};
constexpr Target kTargets[] = {Target::kVelocity, Target::kNoise, Target::kData, Target::kScore};

// Velocities of gvp and vp are rate (b x - a eps).
double rate_of(Path path, double own) {
  if (flow::has_steps(path) || path == Path::kStraight) return -1;
  const auto at = flow::coefficients(path == Path::kGvp ? flow::Interpolant::kGvp : flow::Interpolant::kVp, own);
  return at.da / at.b;
}

// One number: what an answer `o` at z = a x + b eps says of the data (docs/math.md's table, solved for x).
double data_of(Target target, Path path, double o, double z, double a, double b, double s, double rate) {
  switch (target) {
    case Target::kVelocity:  // straight: o = x - (1 - s) eps; path of betas: o = a eps - b x
      return path == Path::kStraight ? (b * o + (1 - s) * z) / (b + (1 - s) * a) : a * z + b * o / rate;
    case Target::kNoise:
      return (z - b * o) / a;
    case Target::kData:
      return o;
    case Target::kScore:
      return (z + b * b * o) / a;
  }
  return 0;
}

double in_space(LossSpace space, Path path, double x, double z, double a, double b, double s, double rate) {
  const double eps = (z - a * x) / b;
  if (space == LossSpace::kData) return x;
  if (space == LossSpace::kMinSnr) return x * std::sqrt(std::min(a * a / (b * b), flow::kSnrCap));
  if (space == LossSpace::kNoise) return eps;
  return path == Path::kStraight ? x - (1 - s) * eps : rate * (b * x - a * eps);
}

Tensor normal(int64_t n, uint64_t seed) {
  return rng::normal({seed, rng::Purpose::kTest, 0}, rng::consecutive(0, n), {1, 2, 3}).to(at::kDouble);
}

}  // namespace

TEST(LossSpace, WeighsTheErrorAsItIsInThatSpace) {
  const double s = 1e-4;
  const auto u = at::tensor({.1, .32, .5, .77, .9}, at::kDouble);
  const auto x = normal(5, 1), eps = normal(5, 2), error = 0.3 * normal(5, 3);
  for (const auto path : {Path::kStraight, Path::kLinear, Path::kCosine, Path::kGvp, Path::kVp}) {
    for (const auto target : kTargets) {
      const flow::PredictionTable table({target, path}, s);
      for (const auto space : kSpaces) {
        const auto point = table.training_point(x, eps, u, space, 1e-4);
        const auto weight = point.weight.defined() ? point.weight : at::ones({5}, at::kDouble);
        for (int64_t i = 0; i < 5; ++i) {
          const double t = point.t[i].item<double>();
          double a = t, b = 1 - (1 - s) * t;
          const double rate = rate_of(path, u[i].item<double>());
          if (!flow::has_steps(path) && path != Path::kStraight) {
            a = t / std::hypot(t, b), b = std::sqrt(1 - a * a);
          } else if (path != Path::kStraight) {
            const double abar =
                flow::alphas_cumprod(path)[static_cast<int64_t>(u[i].item<double>() * 1000)].item<double>();
            a = std::sqrt(abar), b = std::sqrt(1 - abar);
          }
          double squares = 0, own = 0;
          for (int64_t j = 0; j < 6; ++j) {
            const auto at = [&](const Tensor& all) { return all[i].flatten()[j].item<double>(); };
            const double z = at(point.input), answer = at(point.target) + at(error);
            const double wanted = in_space(space, path, at(x), z, a, b, s, rate);
            squares += std::pow(
                in_space(space, path, data_of(target, path, answer, z, a, b, s, rate), z, a, b, s, rate) - wanted, 2);
            own += std::pow(at(error), 2);
          }
          EXPECT_NEAR(own * weight[i].item<double>(), squares, 1e-6 * squares)
              << config::name(target) << " on " << config::name(space) << ", " << config::name(path) << ", t " << t;
        }
      }
    }
  }
}

// arXiv 2511.13720: (x_hat - x_t) / (1 - t) against the velocity, 1 - t at least 0.05 in both.
TEST(LossSpace, OfTheDataOnTheVelocityIsThatOfThePaper) {
  const auto t = at::tensor({0.0, .4, .949, .97, 1.0}, at::kDouble);
  const auto x = normal(5, 4), eps = normal(5, 5), answer = normal(5, 6);
  const flow::PredictionTable table({Target::kData, Path::kStraight}, 0);
  const auto point = table.training_point(x, eps, t, LossSpace::kVelocity);
  const auto rest = (1 - t).clamp_min(0.05).view({-1, 1, 1, 1});
  const auto paper = ((answer - point.input) / rest - (x - point.input) / rest).square().flatten(1).mean(1);
  const auto ours = (answer - point.target).square().flatten(1).mean(1) * point.weight;
  EXPECT_LT((ours - paper).abs().max().item<double>(), 1e-9 * paper.max().item<double>());
}

TEST(LossSpace, OfThePredictionItselfIsPlain) {
  const auto a = at::full({3, 1, 1, 1}, 0.3), b = at::full({3, 1, 1, 1}, 0.7);
  EXPECT_FALSE(flow::loss_weight(Target::kVelocity, LossSpace::kPredicted, a, b).defined());
  EXPECT_FALSE(flow::loss_weight(Target::kVelocity, LossSpace::kVelocity, a, b).defined());
  EXPECT_FALSE(flow::loss_weight(Target::kData, LossSpace::kPredicted, a, b).defined());
  const auto of_score = flow::loss_weight(Target::kScore, LossSpace::kPredicted, a, b);
  EXPECT_TRUE(at::equal(of_score, b.flatten().square()));
}

TEST(LossSpace, StaysFiniteAtTheEndsOfThePath) {
  const auto a = at::tensor({0.0, 1.0}).view({-1, 1, 1, 1}), b = 1 - a;
  for (const auto target : kTargets) {
    for (const auto space : kSpaces) {
      const auto weight = flow::loss_weight(target, space, a, b);
      if (!weight.defined()) continue;
      EXPECT_LE(weight.max().item<double>(), 1 / (0.05 * 0.05) + 1e-3) << config::name(target) << config::name(space);
    }
  }
}
