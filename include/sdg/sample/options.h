#pragma once
#include <array>
#include <map>
#include <string>

#include "sdg/config/fields.h"

namespace sdg::sample {

/// How the way from noise to image is walked. What comes before kAdamsBashforth is Runge-Kutta; kDopri5 chooses its own
/// steps.
enum class Solver { kEuler, kMidpoint, kHeun, kHeun3, kRk4, kDopri5, kAdamsBashforth, kEulerMaruyama };
constexpr auto names_of(Solver) {
  return std::array{"euler", "midpoint", "heun", "heun3", "rk4", "dopri5", "adams_bashforth", "euler_maruyama"};
}

/// Where the steps lie: at equal steps of t, or of the path that the network was trained on.
enum class Grid { kUniform, kOwn };
constexpr auto names_of(Grid) {
  return std::array{"uniform", "own"};
}

/// w(t) of the flow's SDE (diffusion.h).
enum class Diffusion { kConstant, kSbdm, kSigma, kLinear, kDecreasing, kIncreasingDecreasing };
constexpr auto names_of(Diffusion) {
  return std::array{"constant", "sbdm", "sigma", "linear", "decreasing", "increasing_decreasing"};
}

/// What the last step of the SDE does, to which no noise is added.
enum class LastStep { kMean, kTweedie, kEuler, kNone };
constexpr auto names_of(LastStep) {
  return std::array{"mean", "tweedie", "euler", "none"};
}

/// How images are drawn. What is declared here is an option of configurations, of the command line, of sweeps and of
/// what identifies a set of images; a new one is declared, used in the sampler, and done.
struct SampleOptions {
  int64_t steps = 25;
  double guidance = 1.0;
  double guidance_begin = 0, guidance_end = 1;
  Solver solver = Solver::kEuler;
  Grid grid = Grid::kUniform;
  int64_t count = 64;
  int64_t batch = 64;
  int64_t seed = 0;
  Diffusion diffusion = Diffusion::kSigma;
  double diffusion_norm = 1.0;
  LastStep last_step = LastStep::kMean;
  double last_step_size = 0.04;
  int64_t guidance_channels = 0;

  void visit(config::Fields& fields);
  bool operator==(const SampleOptions&) const = default;
};

/// The options that have no effect beside the others, and why: "steps" -> "dopri5 chooses its own steps". What is asked
/// for on the command line is refused with that reason, and two settings that differ only here are one.
std::map<std::string, std::string> idle(const SampleOptions& options);

/// The same with the options that are idle or change only the speed at their defaults: equal where the images are.
SampleOptions effective(const SampleOptions& options);

/// Throws UsageError for a value outside its declared range and for values that cannot go together.
void check(const SampleOptions& options);

/// Is every image drawn without condition: guidance 0 at all times?
bool is_unconditional(const SampleOptions& options);

/// "seed 0, guidance 1.5, 25 euler steps", and what else differs from the defaults.
std::string to_text(const SampleOptions& options);
/// "25 euler steps"
std::string steps_text(const SampleOptions& options);

}  // namespace sdg::sample
