#include "sdg/cludi/generation.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "sdg/core/rng.h"

using namespace sdg;

namespace {

Tensor draw(int64_t step, at::IntArrayRef shape) {
  Shape rest(shape.begin() + 1, shape.end());
  return rng::normal({5, rng::Purpose::kTest, static_cast<uint64_t>(step)}, rng::consecutive(0, shape[0]), rest);
}

}  // namespace

TEST(CludiGeneration, VisitsTheLevelsOfThePublicCode) {
  const auto levels = cludi::visited_levels(1000, 25);
  ASSERT_EQ(levels.size(), 26U);
  EXPECT_EQ(levels.front(), 999);
  EXPECT_EQ(levels[1], 959);
  EXPECT_EQ(levels[24], 39);
  EXPECT_EQ(levels.back(), -1);
  EXPECT_EQ(cludi::visited_levels(1000, 50).at(49), 19);
}

TEST(CludiGeneration, ADeterministicStepToItsOwnLevelStaysWhereItIs) {
  const cludi::NoiseSchedule schedule(cludi::NoiseOptions{});
  const auto z = draw(0, {2, 3, 4}).to(at::kDouble), z_0 = draw(1, {2, 3, 4}).to(at::kDouble);
  const auto back = cludi::ddim_step(schedule, z, z_0, at::zeros_like(z), 400, 400, 0);
  EXPECT_LT((back - z).abs().max().item<double>(), 1e-9);
}

TEST(CludiGeneration, GradientsGoThroughEveryStep) {
  cludi::ModelOptions options;
  options.embedding = 4;
  cludi::Denoiser denoiser(6, 3, options);
  initialize(*denoiser, 7);
  denoiser->to(at::kDouble);
  const cludi::NoiseSchedule schedule({.levels = 50, .factor = 0.5});
  const auto x = draw(2, {1, 5, 6}).to(at::kDouble);
  const auto value = [&] {
    const auto drawn = cludi::draw_assignments(denoiser, schedule, denoiser->conditions(x), {.clamp = 0}, {4},
                                               [](int64_t i) { return draw(10 + i, {2, 5, 4}).to(at::kDouble); });
    return (drawn.logits[0].sin() + drawn.embedding.sum(-1, true).cos()).sum();
  };
  value().backward();
  auto parameters = denoiser->named_parameters();
  for (const std::string name : {"network.4.weight", "cluster_input_proj.0.weight", "data_input_proj.2.bias",
                                 "final_layer.weight", "time_embed.2.bias"}) {
    auto& parameter = parameters[name];
    const auto analytic = parameter.grad().flatten()[1].item<double>();
    const double h = 1e-6;
    const at::NoGradGuard no_grad;
    auto entry = parameter.flatten()[1];
    entry += h;
    const auto above = value().item<double>();
    entry -= 2 * h;
    const auto below = value().item<double>();
    entry += h;
    EXPECT_NEAR(analytic, (above - below) / (2 * h), 1e-6 * (1 + std::abs(analytic))) << name;
    EXPECT_NE(analytic, 0) << name;
  }
}

TEST(CludiGeneration, RowsKnowNothingOfEachOther) {
  cludi::ModelOptions options;
  options.embedding = 4;
  cludi::Denoiser denoiser(6, 3, options);
  initialize(*denoiser, 7);
  const at::NoGradGuard no_grad;
  const auto x = draw(2, {1, 5, 6}), z = draw(3, {1, 5, 4}), n = at::full({1}, 20, at::kLong);
  const auto all = denoiser->forward(z, denoiser->conditions(x), n, at::zeros_like(z));
  const auto one = denoiser->forward(z.slice(1, 2, 3), denoiser->conditions(x.slice(1, 2, 3)), n, at::zeros({1, 1, 4}));
  EXPECT_LT((all.slice(1, 2, 3) - one).abs().max().item<double>(), 1e-5);
}

TEST(CludiGeneration, CutsEstimatesWhereAsked) {
  cludi::Denoiser denoiser(6, 3, cludi::ModelOptions{});
  initialize(*denoiser, 7);
  const at::NoGradGuard no_grad;
  const cludi::NoiseSchedule schedule(cludi::NoiseOptions{});
  const auto conditions = denoiser->conditions(draw(2, {1, 5, 6}));
  const auto noise = [](int64_t i) { return draw(10 + i, {1, 5, 64}); };
  for (const double clamp : {0.1, 1.0}) {
    const auto drawn = cludi::draw_assignments(denoiser, schedule, conditions, {.clamp = clamp}, {3}, noise);
    EXPECT_LE(drawn.z_0.abs().max().item<double>(), clamp + 1e-6);
  }
}
