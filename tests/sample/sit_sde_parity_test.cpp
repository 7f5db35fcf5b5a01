// SiT's stochastic sampler with stored noises (shared/fixtures sit_sde): every diffusion and every last step.
#include <gtest/gtest.h>

#include <cmath>

#include "model/public_dit.h"
#include "sdg/flow/interpolant.h"
#include "sdg/flow/prediction_table.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/solver.h"

using namespace sdg;
using sample::Diffusion;
using sample::LastStep;

namespace {

const std::map<std::string, Diffusion> kForms{
    {"constant", Diffusion::kConstant},     {"SBDM", Diffusion::kSbdm},
    {"sigma", Diffusion::kSigma},           {"linear", Diffusion::kLinear},
    {"decreasing", Diffusion::kDecreasing}, {"inccreasing-decreasing", Diffusion::kIncreasingDecreasing}};
const std::map<std::string, LastStep> kLastSteps{
    {"Mean", LastStep::kMean}, {"Tweedie", LastStep::kTweedie}, {"Euler", LastStep::kEuler}};
const std::map<std::string, flow::Target> kTargets{
    {"velocity", flow::Target::kVelocity}, {"noise", flow::Target::kNoise}, {"score", flow::Target::kScore}};

void follow(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const at::NoGradGuard no_grad;
  auto net = test::public_dit(fixture);
  const auto condition = model::Condition::given(fixture.in("y"));
  const flow::PredictionTable table({kTargets.at(run.value("pred", "velocity")), flow::Path::kStraight}, 0);
  const sample::Denoiser denoiser(
      [&](const Tensor& x_t, double t) {
        const auto point = table.at(x_t, at::full({x_t.size(0)}, t, x_t.options()));
        return table.velocity(net->forward(point.input, point.time, condition).prediction, point);
      },
      0);

  sample::SampleOptions options;
  options.solver = run.at("method") == "Heun" ? sample::Solver::kStochasticHeun : sample::Solver::kEulerMaruyama;
  options.diffusion = kForms.at(run.at("form"));
  options.diffusion_norm = run.at("norm");
  const bool apart = run.at("last").is_string();
  options.last_step = apart ? kLastSteps.at(run.at("last")) : LastStep::kNone;
  // The public code's grid begins a little after 0 where the network does not predict the velocity.
  auto grid = sample::uniform_grid(run.at("num_steps").get<int64_t>() - 1, run.value("eps", 0.0),
                                   apart ? 1 - run.at("last_size").get<double>() : 1);
  if (apart) grid.push_back(1);

  std::vector<Tensor> states;
  const auto noise = fixture.in("noise");
  const auto end = sample::run(
      options, denoiser, fixture.in("x"), grid, [&](int64_t step) { return noise[step]; },
      [&](int64_t, const Tensor& x_t) { states.push_back(x_t); });
  fixture.compare(name + ".final", end);
  fixture.compare(name + ".before_last", apart ? states.at(states.size() - 2) : end);
  // The public code counts a last step that does nothing.
  fixture.compare(name + ".count", at::scalar_tensor(static_cast<int64_t>(states.size()) + (apart ? 0 : 1), at::kLong));
}

// GVP's own SDE, which our solvers do not walk (they walk ours, to which its networks are converted): its velocity,
// score and diffusion are those of interpolant.h.
void follow_gvp(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const at::NoGradGuard no_grad;
  auto net = test::public_dit(fixture);
  const auto condition = model::Condition::given(fixture.in("y"));
  const auto drift = [&](const Tensor& x, double t, double& w) {
    const auto at = flow::coefficients(flow::Interpolant::kGvp, t);
    const auto velocity = net->forward(x, at::full({x.size(0)}, t, x.options()), condition).prediction;
    w = run.at("norm").get<double>() * at.b;  // form sigma
    return velocity + w * flow::convert(flow::Target::kVelocity, velocity, x, at).score;
  };
  const double last = run.at("last_size");
  const auto grid = sample::uniform_grid(run.at("num_steps").get<int64_t>() - 1, 0, 1 - last);
  auto x = fixture.in("x");
  double w = 0;
  for (size_t i = 0; i + 1 < grid.size(); ++i) {
    const double dt = grid[i + 1] - grid[i];
    x = x + drift(x, grid[i], w) * dt;
    x = x + fixture.in("noise")[static_cast<int64_t>(i)] * std::sqrt(2 * w * dt);
  }
  fixture.compare(name + ".before_last", x);
  fixture.compare(name + ".final", x + drift(x, grid.back(), w) * last);
}

}  // namespace

TEST(SitSdeParity, BothSolversDrawLikeThePublicCode) {
  test::for_each_fixture("sit_sde", [](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items())
      (run.contains("path") ? follow_gvp : follow)(fixture, name, run);
    fixture.expect_all_compared([](const std::string& output) { return output == "gvp_euler_sigma.count"; });
  });
}
