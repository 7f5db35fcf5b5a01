// SiT's sampler of the ODE, which is torchdiffeq's: states, evaluations and errors of the steps that dopri5 tries
// (shared/fixtures sit_ode).
#include <gtest/gtest.h>
#include <torch/types.h>

#include "model/public_dit.h"
#include "sdg/sample/adaptive.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

void follow(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const at::NoGradGuard no_grad;
  auto net = test::public_dit(fixture);
  const auto given = model::Condition::given(fixture.in("y"));
  int64_t evaluations = 0;
  const auto at = [&](const Tensor& x, double t, const model::Condition& condition) {
    return net->forward(x, at::full({x.size(0)}, t, x.options()), condition).prediction;
  };
  const bool guided = !run.at("cfg").is_null();
  const sample::VelocityFn velocity = [&](const Tensor& x, double t) {
    ++evaluations;
    if (!guided) return at(x, t, given);
    // The public code walks a doubled batch: both halves guided in three channels, each keeping its own in the rest.
    const auto half = x.slice(0, 0, x.size(0) / 2);
    const auto u = at(half, t, model::Condition::null());
    const auto first = sample::guide(u, at(half, t, given), run.at("cfg"), 3);
    return at::cat({first, at::cat({first.slice(1, 0, 3), u.slice(1, 3)}, 1)});
  };
  auto x = fixture.in("x");
  if (guided) x = at::cat({x, x});
  const bool back = run.value("reverse", false);
  const auto grid = sample::uniform_grid(run.at("num_steps").get<int64_t>() - 1, back ? 1 : 0, back ? 0 : 1);
  std::vector<Tensor> states{x};
  if (run.at("method") == "dopri5") {
    const auto result = sample::integrate_adaptive(velocity, x, grid, {.rtol = run.at("rtol"), .atol = run.at("atol")});
    states = result.states;
    std::vector<double> errors;
    for (const auto& step : result.steps) errors.push_back(step.error);
    // At a tolerance of 1e-3 single errors hang on rounding in float32; states and evaluations are compared there too.
    if (run.at("rtol").get<double>() < 1e-3) fixture.compare(name + ".error_ratios", at::tensor(errors, at::kDouble));
  } else {
    sample::SampleOptions options;
    const std::string method = run.at("method");
    options.solver = config::from_name<sample::Solver>(method == "heun2" ? "heun" : method).value();
    sample::run(options, sample::Denoiser(velocity), x, grid, {},
                [&](int64_t, const Tensor& state) { states.push_back(state); });
  }
  fixture.compare(name + ".final", states.back());
  if (fixture.has("out." + name + ".all")) fixture.compare(name + ".all", at::stack(states));
  fixture.compare(name + ".nfe", at::scalar_tensor(evaluations, at::kLong));
}

}  // namespace

TEST(SitOdeParity, WalksAsThePublicCode) {
  test::for_each_fixture("sit_ode", [](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items()) follow(fixture, name, run);
    fixture.expect_all_compared(
        [](const std::string& output) { return output.starts_with("dopri5_") && output.ends_with(".error_ratios"); });
  });
}
