// REPA's samplers, whose time runs from noise at 1 to data at 0 and whose velocity is ours mirrored (shared/fixtures
// repa_samplers): its ODE, with Heun, guidance and an interval of it, and its SDE, which is SiT's with w = 1 - t.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "model/public_dit.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

// Both answers, guided by `w`.
sample::Denoiser network(model::DiT net, const Tensor& labels, double w) {
  const auto under = [net](const model::Condition& condition) {
    return sample::Denoiser(
        [net = net, condition](const Tensor& x, double t) mutable -> sample::Answer {
          const auto time = at::full({x.size(0)}, 1 - t, at::kFloat);
          return -net->forward(x.to(at::kFloat), time, condition).prediction.to(at::kDouble);
        },
        0);
  };
  return sample::guided(under(model::Condition::given(labels)), under(model::Condition::null()), {.w = w});
}

// REPA decides by the time at which a step begins whether both its evaluations are guided; ours decides at each
// evaluation, as the paper defines guidance in an interval (arXiv 2404.07724: the strength is a function of the noise
// level that the network is asked at). So the steps are walked one by one here, each with its own network.
void walk_ode(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const auto net = test::public_dit(fixture);
  const auto guided = network(net, fixture.in("y"), run.value("cfg_scale", 1.0));
  const auto plain = network(net, fixture.in("y"), 1);
  const double low = run.value("guidance_low", 0.0), high = run.value("guidance_high", 1.0);
  const auto grid = sample::uniform_grid(run.at("num_steps"));
  auto x = fixture.in("latents").to(at::kDouble);
  for (size_t i = 0; i + 1 < grid.size(); ++i) {
    sample::SampleOptions options;
    const bool last = i + 2 == grid.size();
    if (run.value("heun", false) && !last) options.solver = sample::Solver::kHeun;
    const double begin = 1 - grid[i];  // 0.2 there is a little less than 0.2 here
    const bool inside = begin > low - 1e-9 && begin < high + 1e-9;
    x = sample::run(options, inside ? guided : plain, x, {grid[i], grid[i + 1]});
  }
  fixture.compare("ode." + name, x);
}

void walk_sde(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const auto denoiser = network(test::public_dit(fixture), fixture.in("y"), run.value("cfg_scale", 1.0));
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
  test::for_each_fixture("repa_samplers", [](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("ode").items()) walk_ode(fixture, name, run);
    for (const auto& [name, run] : fixture.config.at("sde").items()) walk_sde(fixture, name, run);
    fixture.expect_all_compared();
  });
}
