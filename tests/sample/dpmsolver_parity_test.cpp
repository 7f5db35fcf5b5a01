// diffusers' DPM-Solver++(2M) with stored answers of a network (shared/fixtures dpmsolver_diffusers), on the path of
// Stable Diffusion, on a cosine one and on the flow's own, over seven kinds of grids.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <set>

#include "sdg/sample/solver.h"
#include "support/fixture.h"

using namespace sdg;

namespace {

const std::set<std::string> kOurs{"pp2m",          "pp2m_20", "pp2m_karras", "pp2m_lu",     "pp2m_exp", "pp2m_leading",
                                  "pp2m_trailing", "pp2m_v",  "pp2m_x0",     "pp2m_cosine", "flow"};

void follow(test::Fixture& fixture, const std::string& name, const nlohmann::json& run) {
  const auto sigmas = fixture.out(name + ".sigmas").to(at::kDouble);  // noise over signal, or of the flow noise alone
  const bool flow = name == "flow";
  const auto kind = run.at("cfg").value("prediction_type", "epsilon");
  std::vector<double> grid, norms;
  for (int64_t i = 0; i < sigmas.size(0); ++i) {
    const double s = sigmas[i].item<double>();
    grid.push_back(flow ? 1 - s : 1 / (1 + s));
    norms.push_back(flow ? 1 : std::hypot(grid.back(), 1 - grid.back()));  // x_t = norm z
  }
  const auto answers = fixture.in("model_out").to(at::kDouble);
  int64_t calls = 0;
  const sample::Denoiser network(
      [&](const Tensor& x, double t) -> sample::Answer {
        const auto answer = answers[calls];
        const double norm = norms[static_cast<size_t>(calls++)], a = t / norm, b = (1 - t) / norm;
        if (flow) return -answer;  // noise - data
        const auto z = x / norm;
        const auto data = kind == "sample" ? answer : kind == "epsilon" ? (z - b * answer) / a : a * z - b * answer;
        return data - (z - a * data) / b;
      },
      0);
  std::vector<Tensor> states;
  sample::SampleOptions options;
  options.solver = sample::Solver::kDpmpp2m;
  sample::run(options, network, fixture.in("x_T").to(at::kDouble) * norms.front(), grid, {},
              [&](int64_t step, const Tensor& x) { states.push_back(x / norms[static_cast<size_t>(step) + 1]); });
  fixture.compare(name + ".x", at::stack(states).to(at::kFloat));
}

}  // namespace

TEST(DpmSolverParity, StepsAsDiffusersDoesOnEveryPathAndGrid) {
  test::for_each_fixture("dpm_diffusers", [](test::Fixture& fixture) {
    for (const auto& [name, run] : fixture.config.at("runs").items())
      if (kOurs.contains(name)) follow(fixture, name, run);
    fixture.expect_all_compared([](const std::string& output) {
      const auto dot = output.find('.');
      return output.substr(dot + 1) != "x" || !kOurs.contains(output.substr(0, dot));
    });
  });
}
