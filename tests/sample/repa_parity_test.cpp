// REPA's samplers, whose time runs from noise at 1 to data at 0 and whose velocity is ours mirrored (shared/fixtures
// repa_samplers): its ODE, with Heun and with guidance, and its SDE, which is SiT's with w = 1 - t.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "model/public_dit.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

sample::Denoiser network(model::DiT net, const Tensor& labels, const nlohmann::json& run) {
  const auto under = [net](const model::Condition& condition) {
    return sample::Denoiser(
        [net = net, condition](const Tensor& x, double t) mutable -> sample::Answer {
          const auto time = at::full({x.size(0)}, 1 - t, at::kFloat);
          return -net->forward(x.to(at::kFloat), time, condition).prediction.to(at::kDouble);
        },
        0);
  };
  const sample::Guidance guidance{.w = run.value("cfg_scale", 1.0)};
  return sample::guided(under(model::Condition::given(labels)), under(model::Condition::null()), guidance);
}

void walk_ode(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const auto denoiser = network(test::public_dit(fixture), fixture.in("y"), run);
  const auto grid = sample::uniform_grid(run.at("num_steps"));
  auto x = fixture.in("latents").to(at::kDouble);
  if (run.value("heun", false)) {  // all steps but the last
    sample::SampleOptions heun;
    heun.solver = sample::Solver::kHeun;
    x = sample::run(heun, denoiser, x, {grid.begin(), grid.end() - 1});
    x = sample::run({}, denoiser, x, {grid.end()[-2], grid.back()});
  } else {
    x = sample::run({}, denoiser, x, grid);
  }
  fixture.compare("ode." + name, x);
}

void walk_sde(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const auto denoiser = network(test::public_dit(fixture), fixture.in("y"), run);
  sample::SampleOptions options;
  options.solver = sample::Solver::kEulerMaruyama;
  options.diffusion = sample::Diffusion::kLinear;
  auto grid = sample::uniform_grid(run.at("num_steps").get<int64_t>() - 1, 0, 0.96);
  grid.push_back(1);
  const auto noise = fixture.in("noise").to(at::kDouble);
  fixture.compare("sde." + name, sample::run(options, denoiser, fixture.in("latents").to(at::kDouble), grid,
                                             [&](int64_t step) { return noise[step]; }));
}

}  // namespace

TEST(RepaSamplersParity, WalkAsThePublicCode) {
  const at::NoGradGuard no_grad;
  // Heun with an interval is not compared: there our second evaluation asks whether its own time lies inside.
  const auto is_other = [](const std::string& name) { return name.ends_with("cfg_interval"); };
  test::for_each_fixture("repa_samplers", [&](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("ode").items())
      if (!is_other(name)) walk_ode(fixture, name, run);
    for (const auto& [name, run] : fixture.config.at("sde").items()) walk_sde(fixture, name, run);
    fixture.expect_all_compared(is_other);
  });
}
