// Every solver of torchdiffeq on the velocity of a Gaussian mixture, which is known in closed form.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/sample/adaptive.h"
#include "sdg/sample/solver.h"
#include "support/fixture.h"

using namespace sdg;
using test::Fixture;

namespace {

struct Mixture {
  Tensor mean, spread, log_weight;  // [M, D], [M], [M]
  double sigma_min;

  Tensor velocity(const Tensor& x, const Tensor& t) const {  // x [N, D], t [] or [N, 1]
    const auto noise = 1 - (1 - sigma_min) * t, slope = at::full_like(t, -(1 - sigma_min));
    const auto variance = (t.square() * spread.square() + noise.square());  // [M] or [N, M]
    const auto offset = x.unsqueeze(1) - t.unsqueeze(-1) * mean;            // [N, M, D]
    const auto dim = static_cast<double>(x.size(1));
    const auto log_share =
        log_weight.log_softmax(0) - offset.square().sum(2) / (2 * variance) - dim / 2 * variance.log();
    const auto rate = (t * spread.square() + noise * slope) / variance;
    return (log_share.softmax(1).unsqueeze(2) * (mean + rate.unsqueeze(-1) * offset)).sum(1);
  }
};

Mixture mixture_of(const Fixture& fixture, at::ScalarType dtype) {
  return {fixture.in("mu").to(dtype), fixture.in("s").to(dtype), fixture.in("logw").to(dtype),
          fixture.config.at("sigma_min").get<double>()};
}

struct Run {
  std::vector<Tensor> states;
  int64_t evaluations = 0;
  std::vector<sample::AdaptiveStep> steps;
};

// Fixed steps report states at requested times by linear interpolation between the grid's.
Run run_fixed(const std::string& solver, const sample::VelocityFn& velocity, const Tensor& x,
              const std::vector<double>& times, const std::vector<double>& grid) {
  Run run;
  std::vector<Tensor> visited{x};
  const sample::Denoiser counting([&](const Tensor& state, double t) { return ++run.evaluations, velocity(state, t); });
  const auto ours = config::from_name<sample::Solver>(solver == "heun2" ? "heun" : solver);
  sample::run({.solver = ours.value()}, counting, x, grid, {},
              [&](int64_t, const Tensor& state) { visited.push_back(state); });
  for (const double t : times) {
    size_t i = 0;
    while (i + 2 < grid.size() && (grid[i + 1] - t) * (grid.back() - grid.front()) < 0) ++i;
    const double share = (t - grid[i]) / (grid[i + 1] - grid[i]);
    run.states.push_back(visited[i] + share * (visited[i + 1] - visited[i]));
  }
  return run;
}

Run run_adaptive(const nlohmann::json& spec, const sample::VelocityFn& velocity, const Tensor& x,
                 const std::vector<double>& times) {
  sample::AdaptiveOptions options{.solver = spec.at("method"), .rtol = spec.at("rtol"), .atol = spec.at("atol")};
  const auto extra = spec.value("options", nlohmann::json::object());
  options.first_step = extra.value("first_step", options.first_step);
  options.max_step = extra.value("max_step", options.max_step);
  auto result = sample::integrate_adaptive(velocity, x, times, options);
  return {result.states, result.evaluations, result.steps};
}

// Integrating backwards the public code counts its steps as positive; times are the true ones.
Tensor trace_of(const std::vector<sample::AdaptiveStep>& steps) {
  std::vector<double> rows;
  for (const auto& step : steps)
    rows.insert(rows.end(), {step.t, std::abs(step.dt), step.error, step.accepted ? 1.0 : 0.0});
  return at::tensor(rows, at::kDouble).reshape({-1, 4});
}

// begin, begin + step, …, end, whose last step may be shorter.
std::vector<double> stepped_grid(double step, double begin, double end) {
  const auto steps = static_cast<int64_t>(std::ceil(std::abs(end - begin) / step - 1e-6));
  std::vector<double> grid;
  for (int64_t i = 0; i < steps; ++i) grid.push_back(begin + static_cast<double>(i) * (end > begin ? step : -step));
  grid.push_back(end);
  return grid;
}

bool is_adaptive(const std::string& method) {
  return method == "dopri5" || method == "bosh3" || method == "adaptive_heun";
}

void compare_run(Fixture& fixture, const std::string& name, const nlohmann::json& spec) {
  const auto dtype = spec.at("dtype") == "float64" ? at::kDouble : at::kFloat;
  const auto mixture = mixture_of(fixture, dtype);
  const sample::VelocityFn velocity = [&](const Tensor& x, double t) {
    return mixture.velocity(x, at::full({}, t, dtype));
  };
  const auto x = fixture.in(spec.value("reverse", false) ? "x1" : "x0").to(dtype);
  const auto times = spec.at("t").get<std::vector<double>>();
  const auto options = spec.value("options", nlohmann::json::object());
  Run run;
  if (is_adaptive(spec.at("method"))) {
    run = run_adaptive(spec, velocity, x, times);
    fixture.compare(name + ".trace", trace_of(run.steps));
  } else {
    const auto grid =
        options.contains("step_size") ? stepped_grid(options.at("step_size"), times.front(), times.back()) : times;
    run = run_fixed(spec.at("method"), velocity, x, times, grid);
  }
  fixture.compare(name + ".y", at::stack(run.states));
  fixture.compare(name + ".nfe", at::scalar_tensor(run.evaluations, at::kLong));
}

}  // namespace

TEST(OdeParity, EverySolverFollowsThePublicOne) {
  test::for_each_fixture("ode_gmm", [](Fixture& fixture) {
    const auto mixture = mixture_of(fixture, at::kFloat);
    fixture.compare("v_at", mixture.velocity(fixture.in("v_x"), fixture.in("v_t").unsqueeze(1)));
    for (const auto& [name, spec] : fixture.config.at("runs").items()) compare_run(fixture, name, spec);
    fixture.expect_all_compared();
  });
}
