// Single steps of guided-diffusion with given answers of a network (shared/fixtures gd_steps): means, variances,
// predictions of the image, DDPM and DDIM in both directions, at six steps of a process respaced to 20.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>

#include "sdg/flow/prediction_table.h"
#include "sdg/flow/respacing.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"
#include "support/fixture.h"

using namespace sdg;
using sample::Clip;
using sample::Solver;
using sample::Variance;

namespace {

const std::map<std::string, Variance> kVariances{
    {"FIXED_SMALL", Variance::kSmall}, {"FIXED_LARGE", Variance::kLarge}, {"LEARNED_RANGE", Variance::kLearned}};

double norm(double t) {
  return std::hypot(t, 1 - t);
}

class Process {
 public:
  explicit Process(test::Fixture& fixture) : fixture_(fixture), steps_(flow::respaced_steps({20})) {}

  // Our time of step i of the respaced process; -1 is the data, one beyond the last the noise.
  double time(int64_t i) const {
    if (i < 0) return 1;
    if (i == static_cast<int64_t>(steps_.size())) return 0;
    const double abar = abar_[steps_[static_cast<size_t>(i)]].item<double>(), ratio = std::sqrt(abar / (1 - abar));
    return ratio / (1 + ratio);
  }
  int64_t step(int64_t row) const { return fixture_.in("t")[row].item<int64_t>(); }
  Tensor row(const std::string& name, int64_t row) const {
    return fixture_.in(name).slice(0, row, row + 1).to(at::kDouble);
  }
  // u of PredictionTable::training_point, [N].
  Tensor places() const {
    std::vector<double> u;
    for (int64_t r = 0; r < rows(); ++r)
      u.push_back((static_cast<double>(steps_[static_cast<size_t>(step(r))]) + 0.5) / 1000);
    return at::tensor(u, at::kDouble);
  }
  int64_t rows() const { return fixture_.in("t").size(0); }

  // The network that gives the stored answer, or, of kind "x_start", knows the image.
  sample::Denoiser denoiser(const std::string& kind, int64_t r, bool clip) const {
    const auto said = kind == "x_start" ? row("x_start", r) : row("model_out", r).slice(1, 0, 3);
    const auto variance = row("model_out", r).slice(1, 3);
    sample::Denoiser network(
        [=](const Tensor& x, double t) -> sample::Answer {
          const double a = t / norm(t), b = (1 - t) / norm(t);
          const auto z = x / norm(t);
          const auto data = kind == "EPSILON" ? (z - b * said) / a : said;
          return {data - (z - a * data) / b, variance};
        },
        0);
    return sample::clipped(std::move(network), clip ? Clip::kClamp : Clip::kNone, 1);
  }

  // z one step further, of all rows.
  Tensor stepped(const sample::SampleOptions& options, const std::string& kind, bool clip, const Tensor& noise) const {
    std::vector<Tensor> out;
    for (int64_t r = 0; r < rows(); ++r) {
      const double t = time(step(r)), next = time(step(r) - 1);
      std::vector<double> grid{t, next};
      if (next < 1) grid.push_back((1 + next) / 2);  // so that the step is not the last one
      Tensor after;
      sample::run(
          options, denoiser(kind, r, clip), row("x_t", r) * norm(t), grid,
          [&](int64_t) { return noise.slice(0, r, r + 1); },
          [&](int64_t i, const Tensor& x) {
            if (i == 0) after = x / norm(next);
          });
      out.push_back(after);
    }
    return at::cat(out);
  }

 private:
  test::Fixture& fixture_;
  std::vector<int64_t> steps_;
  Tensor abar_ = flow::alphas_cumprod(flow::Path::kLinear);
};

void compare_means_and_images(test::Fixture& fixture, const Process& process, const Tensor& none) {
  for (const std::string kind : {"EPSILON", "START_X"}) {
    for (const bool clip : {false, true}) {
      std::vector<Tensor> images;
      for (int64_t r = 0; r < process.rows(); ++r) {
        const double t = process.time(process.step(r));
        images.push_back(process.denoiser(kind, r, clip).at(process.row("x_t", r) * norm(t), t).data());
      }
      for (const auto& [name, variance] : kVariances) {
        const auto where = kind + "." + name + (clip ? ".clip1" : ".clip0");
        fixture.compare(where + ".pred_xstart", at::cat(images).to(at::kFloat));
        const sample::SampleOptions options{.solver = Solver::kDdpm, .variance = variance};
        fixture.compare(where + ".mean", process.stepped(options, kind, clip, none).to(at::kFloat));
      }
    }
  }
}

// The noise of the last step, row 0, is added to nothing: of it the walk says no variance.
void compare_variances(test::Fixture& fixture, const Process& process, const Tensor& none) {
  ASSERT_EQ(process.step(0), 0);
  for (const auto& [name, variance] : kVariances) {
    const sample::SampleOptions options{.solver = Solver::kDdpm, .variance = variance};
    const auto change = process.stepped(options, "EPSILON", false, at::ones_like(none)) -
                        process.stepped(options, "EPSILON", false, none);
    const auto output = "EPSILON." + name + ".clip0.variance";
    auto expected = fixture.out(output).to(at::kDouble);
    if (expected.dim() == 1) expected = expected.view({-1, 1, 1, 1}).expand_as(change);
    const auto& allowed = fixture.tolerance.at(output);
    const auto beyond = (change.square() - expected).abs() - allowed.at("rtol").get<double>() * expected;
    EXPECT_LE(beyond.slice(0, 1).max().item<double>(), allowed.at("atol").get<double>()) << output;
  }
}

}  // namespace

TEST(GuidedDiffusionParity, EachStepIsAsThePublicCodeTakesIt) {
  const at::NoGradGuard no_grad;
  test::for_each_fixture("gd_pmv", [](test::Fixture& fixture) {
    const Process process(fixture);
    const auto noise = fixture.in("step_noise").to(at::kDouble), none = at::zeros_like(noise);
    compare_means_and_images(fixture, process, none);
    compare_variances(fixture, process, none);
    fixture.compare("p_sample", process.stepped({.solver = Solver::kDdpm}, "EPSILON", true, noise).to(at::kFloat));
    fixture.compare("q_posterior_mean",
                    process.stepped({.solver = Solver::kDdpm}, "x_start", false, none).to(at::kFloat));
    for (const std::string eta : {"0.0", "0.5", "1.0"}) {
      const sample::SampleOptions options{.solver = Solver::kDdim, .eta = std::stod(eta)};
      fixture.compare("ddim_eta" + eta, process.stepped(options, "EPSILON", true, noise).to(at::kFloat));
    }
    std::vector<Tensor> backwards;
    for (int64_t r = 0; r < process.rows(); ++r) {
      const double t = process.time(process.step(r)), before = process.time(process.step(r) + 1);
      const auto x =
          sample::run({}, process.denoiser("EPSILON", r, false), process.row("x_t", r) * norm(t), {t, before});
      backwards.push_back(x / norm(before));
    }
    fixture.compare("ddim_reverse", at::cat(backwards).to(at::kFloat));
    const flow::PredictionTable table({flow::Target::kNoise, flow::Path::kLinear}, 0);
    fixture.compare("q_sample", table
                                    .training_point(fixture.in("x_start").to(at::kDouble),
                                                    fixture.in("noise").to(at::kDouble), process.places())
                                    .input.to(at::kFloat));
    // Not here: means of the step before (PREVIOUS_X), log variances predicted as they are (LEARNED), classifier
    // guidance, variational losses.
    fixture.expect_all_compared([](const std::string& output) {
      return output.starts_with("PREVIOUS_X") || output.find(".LEARNED.") != std::string::npos ||
             output.find(".loss.") != std::string::npos || output.ends_with("variance") ||
             output.starts_with("condition_") || output.starts_with("q_posterior_") || output == "prior_bpd";
    });
  });
}
