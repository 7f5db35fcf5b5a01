// DPM-Solver as U-ViT ships it, with a network in closed form (shared/fixtures dpmsolver_uvit): its 2M on Stable
// Diffusion's betas, its first order on the continuous VP path, each through the table of predictions, which also tells
// the network its time.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "sdg/flow/prediction_table.h"
#include "sdg/sample/solver.h"
#include "support/fixture.h"

using namespace sdg;
using flow::Path;
using flow::Target;

namespace {

// Our time with the signal-to-noise ratio of log a.
double time_of(double log_a) {
  const double ratio = std::exp(log_a) / std::sqrt(-std::expm1(2 * log_a));
  return ratio / (1 + ratio);
}

// Stable Diffusion's log a at the public code's continuous time: a line between the steps (i + 1) / 1000.
double stable_diffusion_log_a(double t) {
  const auto abar = flow::alphas_cumprod(Path::kStableDiffusion);
  const double n = 1000 * t - 1;
  const auto left = std::clamp<int64_t>(static_cast<int64_t>(n), 0, 998);
  const double share = n - static_cast<double>(left);
  return 0.5 * ((1 - share) * std::log(abar[left].item<double>()) + share * std::log(abar[left + 1].item<double>()));
}

struct Walked {
  Tensor x;                  // after `steps` steps, of the path with a^2 + b^2 = 1
  std::vector<double> told;  // the time of each evaluation
};

// One time more than steps: the step to it is the last one, which 2M takes with order 1 and the public code does not.
Walked walk(test::Fixture& fixture, sample::Solver solver, Path path, const std::vector<double>& grid, size_t steps,
            const std::function<double(double)>& time_in) {
  const auto a = fixture.in("A").to(at::kDouble), b = fixture.in("b").to(at::kDouble);
  const flow::PredictionTable table({Target::kNoise, path}, 0);
  Walked out;
  const sample::Denoiser network(
      [&](const Tensor& x, double t) -> sample::Answer {
        const auto point = table.at(x, at::full({x.size(0)}, t, at::kDouble));
        const double told = time_in(point.time[0].item<double>());
        if (out.told.size() < steps) out.told.push_back(told);
        const auto eps = at::tanh(point.input.flatten(1).matmul(a)) + b * std::sin(told / 100);
        return table.velocity(eps.view_as(x), point);
      },
      0);
  const auto norm = [](double t) { return std::hypot(t, 1 - t); };
  sample::run({.solver = solver}, network, fixture.in("x_T").to(at::kDouble) * norm(grid.front()), grid, {},
              [&](int64_t i, const Tensor& x) {
                if (static_cast<size_t>(i) + 1 == steps) out.x = x / norm(grid[steps]);
              });
  return out;
}

void compare(test::Fixture& fixture, const std::string& name, const Walked& walked) {
  fixture.compare(name + ".x", walked.x.to(at::kFloat));
  fixture.compare(name + ".model_times", at::tensor(walked.told, at::kDouble).to(at::kFloat));
  fixture.compare(name + ".nfe", at::scalar_tensor(static_cast<int64_t>(walked.told.size()), at::kLong));
}

}  // namespace

TEST(DpmSolverUvitParity, StepsAsTheCopyOfUvitOnDiscreteAndContinuousPaths) {
  const at::NoGradGuard no_grad;
  test::for_each_fixture("dpm_uvit", [](test::Fixture& fixture) {
    std::vector<double> grid;
    for (int64_t i = 0; i <= 8; ++i)
      grid.push_back(time_of(stable_diffusion_log_a(1 - 0.999 * static_cast<double>(i) / 8)));
    grid.push_back(1);
    compare(fixture, "pp_2m",
            walk(fixture, sample::Solver::kDpmpp2m, Path::kStableDiffusion, grid, 8, [](double n) { return n; }));

    grid.clear();
    for (int64_t i = 0; i <= 7; ++i) {
      const double root = 1 + (0.01 - 1) * static_cast<double>(i) / 7, u = root * root;
      grid.push_back(time_of(-u * u * (20 - 0.1) / 4 - u * 0.1 / 2));
    }
    compare(fixture, "o1_quadratic",
            walk(fixture, sample::Solver::kDdim, Path::kVp, grid, 7, [](double own) { return 1 - own; }));
    // Not here: solvers that this program has not (singlestep, third order, DPM-Solver-2 on predictions of the noise).
    fixture.expect_all_compared(
        [](const std::string& output) { return !output.starts_with("pp_2m.") || output.ends_with("lambda"); });
  });
}
