// Noise levels and DDIM of Self-Guided Diffusion with an analytic network (shared/fixtures sg_samplers).
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/flow/betas.h"
#include "sdg/sample/solver.h"
#include "support/fixture.h"

using namespace sdg;

namespace {

// The public code's steps: one above every (1000 / n)-th, and at the end the level of step 0, which keeps some noise.
struct Steps {
  explicit Steps(int64_t n, const Tensor& abar) {
    for (int64_t at = 0; at < flow::kSteps; at += flow::kSteps / n) numbers.insert(numbers.begin(), at + 1);
    for (const auto each : numbers) levels.push_back(abar[each].item<double>());
    levels.push_back(abar[0].item<double>());
    for (const double level : levels) {
      const double ratio = std::sqrt(level / (1 - level));
      grid.push_back(ratio / (1 + ratio));
    }
  }
  double norm(size_t i) const { return std::hypot(grid[i], 1 - grid[i]); }  // our point is this times theirs

  std::vector<int64_t> numbers;
  std::vector<double> levels, grid;
};

void follow(test::Fixture& fixture, const std::string& name, int64_t n) {
  const Steps steps(n, flow::alphas_cumprod(flow::Path::kSqrtLinear));
  std::vector<double> alphas(steps.levels.rbegin() + 1, steps.levels.rend());
  std::vector<double> before(steps.levels.rbegin(), steps.levels.rend() - 1);
  fixture.compare(name + ".ddim_alphas", at::tensor(alphas));
  fixture.compare(name + ".ddim_alphas_prev", at::tensor(before));
  const auto a = fixture.in("A"), b = fixture.in("b");
  size_t step = 0;
  std::vector<Tensor> data, states;
  const sample::Denoiser network(
      [&](const Tensor& x_t, double t) -> sample::Answer {
        const auto z = x_t / steps.norm(step);
        const auto eps =
            (at::tanh(z.flatten(1).mm(a)) + b * std::sin(static_cast<double>(steps.numbers[step]) / 100)).view_as(z);
        data.push_back((x_t - (1 - t) * eps) / t);
        return (x_t - eps) / t;
      },
      0);
  sample::SampleOptions options;
  options.solver = sample::Solver::kDdim;
  const auto end = sample::run(options, network, fixture.in("x_T") * steps.norm(0), steps.grid, {},
                               [&](int64_t, const Tensor& x) { states.push_back(x / steps.norm(++step)); });
  fixture.compare(name + ".x", end / steps.norm(steps.grid.size() - 1));
  fixture.compare(name + ".x_inter", at::stack(states));
  fixture.compare(name + ".pred_x0", at::stack(data));
}

}  // namespace

TEST(SgSamplersParity, LevelsAreThePublicOnes) {
  test::for_each_fixture("sg_samplers", [](test::Fixture& fixture) {
    fixture.compare("betas.linear", flow::betas(flow::Path::kSqrtLinear));  // so the public code calls them
    fixture.compare("betas.sqrt_linear", flow::betas(flow::Path::kLinear));
    fixture.compare("betas.cosine", flow::betas(flow::Path::kCosine));
  });
}

// Without bounds. Where predictions are bounded the public code goes on along the unbounded noise, and we along what
// the bounded prediction leaves, as ADM does.
TEST(SgSamplersParity, DdimWithoutBoundsIsThePublicWalk) {
  test::for_each_fixture("sg_samplers", [](test::Fixture& fixture) {
    const auto runs = fixture.config.at("runs");
    for (const auto& [name, run] : runs.items()) {
      if (run.at("type") == "ddim" && run.at("eta") == 0 && !run.at("clip").get<bool>())
        follow(fixture, name, run.at("n"));
    }
  });
}
