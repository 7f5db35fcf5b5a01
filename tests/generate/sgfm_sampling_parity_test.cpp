// Sampling as the public code does it (shared/fixtures sgfm_sampling): dopri5 and Euler, guided and not, and backwards.
#include <gtest/gtest.h>

#include <cmath>

#include "generate/sgfm_network.h"
#include "sdg/flow/path.h"
#include "sdg/model/uvit.h"
#include "sdg/sample/adaptive.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

// 0, h, 2h, … and 1 as the last, however short the last step is.
std::vector<double> grid_of_step(double h) {
  std::vector<double> grid;
  for (int64_t i = 0; static_cast<double>(i) * h < 1 - 1e-9; ++i) grid.push_back(static_cast<double>(i) * h);
  grid.push_back(1);
  return grid;
}

void follow(test::Fixture& fixture) {
  const at::NoGradGuard no_grad;
  auto network = test::sgfm_network(fixture, false);
  network.set_training(false);
  const auto& config = fixture.config;
  const auto z = fixture.in("z"), x = fixture.in("x_train"), noise = fixture.in("noise");

  const auto velocity = [&](const Tensor& x_t, double t, const model::Condition& condition) {
    return network.model->forward(x_t, at::full({x_t.size(0)}, t, x_t.options()), condition).prediction;
  };
  const auto at_teacher_time = at::full({x.size(0)}, config.at("ema_t").get<double>());
  const auto seen = flow::constant_velocity(x, noise, at_teacher_time, config.at("sigma_min"));
  model::ForwardOptions tap;
  tap.feature_depth = network.model->default_feature_depth();
  tap.features_only = true;
  const auto features =
      network.model->forward(seen.x_t, at_teacher_time, model::Condition::unconditional(), tap).features;
  const auto head = network.head->forward(features.select(1, 0));
  const auto ids = head.scores.argmax(1);
  const auto y = network.head->prototypes->weight.index_select(0, ids);
  fixture.compare("ids", ids);
  fixture.compare("y", y);
  fixture.compare("dm_emb", features.select(1, 0));

  const auto stage1 = [&](const Tensor& x_t, double t) { return velocity(x_t, t, model::Condition::unconditional()); };
  const auto conditional = [&](const Tensor& x_t, double t) { return velocity(x_t, t, model::Condition::given(y)); };
  const auto guided = [&](const Tensor& x_t, double t) {
    return sample::guide(velocity(x_t, t, model::Condition::null()), conditional(x_t, t),
                         1 + config.at("scale").get<double>());
  };
  const auto adaptive = [&](const std::string& name, const sample::VelocityFn& field, const Tensor& start,
                            const std::vector<double>& times, int64_t calls) {
    const auto result = sample::integrate_adaptive(field, start, times);
    std::vector<double> errors;
    for (const auto& step : result.steps) errors.push_back(step.error);
    fixture.compare(name + ".x", result.states.back());
    fixture.compare(name + ".nfe", at::scalar_tensor(result.evaluations * calls, at::kLong));
    fixture.compare(name + ".error_ratios", at::tensor(errors, at::kDouble));
  };
  adaptive("decode_stage1", stage1, z, {0, 1}, 1);
  adaptive("decode_cond", conditional, z, {0, 1}, 1);
  adaptive("decode_cfg", guided, z, {0, 1}, 2);
  adaptive("encode_stage1", stage1, x, {1, 0}, 1);
  for (const double h : config.at("step_sizes")) {
    std::ostringstream name;
    name << "euler_" << h << ".x";
    fixture.compare(name.str(), sample::run({}, sample::Denoiser(conditional), z, grid_of_step(h)));
  }

  const int64_t steps = config.at("raw_steps"), wanted = config.at("raw_est");
  auto state = z;
  std::vector<Tensor> estimates;
  for (int64_t i = 0; i < steps; ++i) {
    const double t = static_cast<double>(i) / static_cast<double>(steps);
    const auto v = conditional(state, t);
    for (int64_t k = 0; k < wanted; ++k) {
      if (k * steps / wanted == i) estimates.push_back(flow::data_from_velocity(v, state, at::full({z.size(0)}, t), 0));
    }
    state = state + v / static_cast<double>(steps);
  }
  fixture.compare("euler_raw.x", state);
  fixture.compare("euler_raw.x_est", at::stack(estimates, 1));
  fixture.expect_all_compared();
}

}  // namespace

TEST(SgfmSamplingParity, DrawsAndEncodesLikeThePublicCode) {
  test::for_each_fixture("sgfm_sampling", follow);
}
