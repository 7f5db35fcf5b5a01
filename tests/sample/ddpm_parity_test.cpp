// DDPM and DDIM of a DiT with learned variances, respaced, clipped, guided on three channels, with stored noises
// (shared/fixtures ddpm_ddim_dit).
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <sstream>

#include "model/public_dit.h"
#include "sdg/flow/prediction_table.h"
#include "sdg/flow/respacing.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"

using namespace sdg;

namespace {

std::vector<int64_t> steps_of(const std::string& respacing) {
  if (respacing.starts_with("ddim")) return flow::strided_steps(std::stoll(respacing.substr(4)));
  std::vector<int64_t> counts;
  std::istringstream parts(respacing);
  for (std::string part; std::getline(parts, part, ',');) counts.push_back(std::stoll(part));
  return flow::respaced_steps(counts);
}

void follow(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const at::NoGradGuard no_grad;
  auto net = test::public_dit(fixture);
  const auto steps = steps_of(run.at("respacing"));
  fixture.compare(name + ".timestep_map", at::tensor(steps, at::kLong));
  // The public code begins at the noise of the first step, not at noise alone.
  const auto abar = flow::alphas_cumprod(flow::Path::kLinear);
  std::vector<double> grid, norms;
  for (auto n = steps.rbegin(); n != steps.rend(); ++n) {
    const double level = abar[*n].item<double>(), ratio = std::sqrt(level / (1 - level));
    grid.push_back(ratio / (1 + ratio));
  }
  grid.push_back(1);
  for (const double t : grid) norms.push_back(std::hypot(t, 1 - t));

  const flow::PredictionTable table({flow::Target::kNoise, flow::Path::kLinear}, 0);
  const auto under = [&](const model::Condition& condition) {
    return sample::Denoiser(
        [&, condition](const Tensor& x_t, double t) -> sample::Answer {
          const auto point = table.at(x_t, at::full({x_t.size(0)}, t, x_t.options()));
          const auto out = net->forward(point.input, point.time, condition);
          return {table.velocity(out.prediction, point), out.variance};
        },
        0);
  };
  sample::SampleOptions options;
  options.solver = run.at("kind") == "ddpm" ? sample::Solver::kDdpm : sample::Solver::kDdim;
  options.variance = sample::Variance::kLearned;
  options.eta = run.at("eta");
  const bool guided = !run.at("cfg").is_null();
  if (guided) options.guidance = run.at("cfg");
  options.guidance_convention = sample::Convention::kDit;
  const auto denoiser = sample::clipped(sample::guided(under(model::Condition::given(fixture.in("y"))),
                                                       under(model::Condition::null()), sample::guidance_of(options)),
                                        run.at("clip").get<bool>() ? sample::Clip::kClamp : sample::Clip::kNone, 1);
  std::vector<Tensor> states;
  const auto noise = fixture.in("noise");
  sample::run(
      options, denoiser, fixture.in("x_T") * norms.front(), grid, [&](int64_t step) { return noise[step]; },
      [&](int64_t step, const Tensor& x_t) { states.push_back(x_t / norms[static_cast<size_t>(step) + 1]); });
  if (!guided) {
    fixture.compare(name + ".x", at::stack(states));
    return;
  }
  // The public code walks a doubled batch, whose first half is the images.
  const auto expected = fixture.out(name + ".x").slice(1, 0, noise.size(1));
  const auto error = (at::stack(states) - expected).abs().max().item<double>();
  EXPECT_LE(error, fixture.tolerance.at(name + ".x").at("atol").get<double>()) << name;
}

}  // namespace

TEST(DdpmParity, StepsAsThePublicCodeOfDiTDoes) {
  test::for_each_fixture("ddpm_dit", [](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items())
      if (run.at("kind") != "reverse") follow(fixture, name, run);
    fixture.expect_all_compared([](const std::string& output) {
      return output.ends_with(".pred_xstart") || output.starts_with("ddim_reverse") || output.ends_with("_cfg.x");
    });
  });
}
