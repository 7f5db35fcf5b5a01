#include "sdg/flow/interpolant.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/config/names.h"
#include "sdg/core/rng.h"
#include "sdg/flow/prediction_table.h"

using namespace sdg;
using flow::Interpolant;
using flow::Target;

namespace {

constexpr std::array kPaths{Interpolant::kLinear, Interpolant::kGvp, Interpolant::kVp};

// A mixture of Gaussians N(m_k, c_k^2 I): what is expected of x and of eps at x_t, in closed form.
struct Expected {
  Tensor data, noise, score;
};
Expected expected_at(const Tensor& x_t, double a, double b) {
  const auto mean = at::tensor({1.0, -0.5, -0.8, 0.9}, at::kDouble).view({2, 2});
  const auto spread = at::tensor({0.3, 0.6}, at::kDouble), weight = at::tensor({0.7, 0.3}, at::kDouble);
  const auto variance = a * a * spread.square() + b * b;  // [M]
  const auto offset = x_t.unsqueeze(1) - a * mean;        // [N, M, D]
  const auto log_share = weight.log() - offset.square().sum(2) / (2 * variance) - variance.log();
  const auto share = log_share.softmax(1).unsqueeze(2);
  const auto data = (share * (mean + (a * spread.square() / variance).unsqueeze(1) * offset)).sum(1);
  const auto score = -(share * offset / variance.unsqueeze(1)).sum(1);
  return {data, (x_t - a * data) / b, score};
}

Tensor points() {
  return rng::normal({3, rng::Purpose::kTest, 0}, rng::consecutive(0, 30), {2}).to(at::kDouble);
}

}  // namespace

TEST(Interpolant, CoefficientsHaveTheirDerivatives) {
  for (const auto path : kPaths) {
    for (const double t : {0.1, 0.4, 0.9}) {
      const auto here = flow::coefficients(path, t);
      const auto before = flow::coefficients(path, t - 1e-6), after = flow::coefficients(path, t + 1e-6);
      EXPECT_NEAR(here.da, (after.a - before.a) / 2e-6, 1e-6) << config::name(path) << t;
      EXPECT_NEAR(here.db, (after.b - before.b) / 2e-6, 1e-6) << config::name(path) << t;
    }
  }
}

TEST(Interpolant, EveryPredictionSaysTheSameOnAGaussianMixture) {
  const auto x_t = points();
  for (const auto path : kPaths) {
    for (const double t : {0.1, 0.5, 0.95}) {
      const auto at = flow::coefficients(path, t);
      const auto truth = expected_at(x_t, at.a, at.b);
      const auto velocity = at.da * truth.data + at.db * truth.noise;
      for (const auto& [target, value] : std::vector<std::pair<Target, Tensor>>{{Target::kVelocity, velocity},
                                                                                {Target::kNoise, truth.noise},
                                                                                {Target::kData, truth.data},
                                                                                {Target::kScore, truth.score}}) {
        const auto said = flow::convert(target, value, x_t, at);
        const auto what = std::string(config::name(path)) + " " + std::string(config::name(target));
        EXPECT_TRUE(at::allclose(said.velocity, velocity, 1e-8, 1e-8)) << what;
        EXPECT_TRUE(at::allclose(said.noise, truth.noise, 1e-8, 1e-8)) << what;
        EXPECT_TRUE(at::allclose(said.data, truth.data, 1e-8, 1e-8)) << what;
        EXPECT_TRUE(at::allclose(said.score, truth.score, 1e-8, 1e-8)) << what;
      }
      EXPECT_TRUE(at::allclose(at.drift() * x_t + at.diffusion() * truth.score, velocity, 1e-8, 1e-8));
    }
  }
}

// The same network, asked on another path: what is expected of the data at a point does not change with its name.
TEST(Interpolant, APointMovedToAnotherPathHasTheSameExpectations) {
  const auto x_t = points();
  for (const auto from : kPaths) {
    for (const auto to : kPaths) {
      for (const double t : {0.15, 0.6, 0.9}) {
        const auto here = flow::coefficients(from, t);
        const auto there = flow::move(here, to);
        EXPECT_NEAR(there.to.a / there.to.b, here.a / here.b, 1e-7 * here.a / here.b);
        EXPECT_TRUE(at::allclose(expected_at(x_t * there.scale, there.to.a, there.to.b).data,
                                 expected_at(x_t, here.a, here.b).data, 1e-6, 1e-7))
            << config::name(from) << " to " << config::name(to);
      }
    }
  }
}

TEST(Interpolant, ManyTimesAtOnceAreAsOne) {
  const auto t = at::tensor({1e-3, 0.2, 0.5, 0.9, 0.999}, at::kDouble);
  for (const auto path : {Interpolant::kGvp, Interpolant::kVp}) {
    const auto shares = flow::shares_at(path, t);
    for (int64_t i = 0; i < t.size(0); ++i) {
      const auto one = flow::coefficients(path, t[i].item<double>());
      EXPECT_NEAR(shares.a[i].item<double>(), one.a, 1e-12);
      EXPECT_NEAR(shares.b[i].item<double>(), one.b, 1e-9);
      EXPECT_NEAR(shares.rate[i].item<double>(), one.da / one.b, 1e-6 * one.da / one.b);
      EXPECT_NEAR(-shares.rate[i].item<double>() * one.a, one.db, 1e-6 * std::abs(one.db));
    }
    EXPECT_TRUE(at::allclose(flow::times_of(path, at::log(shares.a / shares.b)), t, 0, 1e-9));
  }
}

// Networks of every prediction on both paths, asked through the table that samplers use.
TEST(Interpolant, TheTableOfPredictionsGivesTheMixturesVelocityOnOurPath) {
  const auto x_t = points();
  for (const auto& [path, own] :
       {std::pair{flow::Path::kGvp, Interpolant::kGvp}, std::pair{flow::Path::kVp, Interpolant::kVp}}) {
    for (const auto target : {Target::kVelocity, Target::kNoise, Target::kData, Target::kScore}) {
      const flow::PredictionTable table({target, path}, 0);
      for (const double t : {0.05, 0.4, 0.8, 0.97}) {
        const auto point = table.at(x_t.view({30, 2, 1, 1}), at::full({30}, t, at::kDouble));
        const auto at = flow::coefficients(own, point.time[0].item<double>());
        const auto truth = expected_at(point.input.view({30, 2}), at.a, at.b);
        const auto answer = target == Target::kNoise   ? truth.noise
                            : target == Target::kData  ? truth.data
                            : target == Target::kScore ? truth.score
                                                       : at.da * truth.data + at.db * truth.noise;
        const auto here = expected_at(x_t, t, 1 - t);
        const auto velocity = table.velocity(answer.view({30, 2, 1, 1}), point).view({30, 2});
        EXPECT_LT((velocity - (here.data - here.noise)).abs().max().item<double>(), 1e-6)
            << config::name(path) << " " << config::name(target) << " " << t;
      }
    }
  }
}
