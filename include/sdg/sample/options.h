#pragma once
#include <array>
#include <map>
#include <string>

#include "sdg/config/fields.h"
#include "sdg/core/graph.h"
#include "sdg/core/precision.h"

namespace sdg::sample {

/// How the way from noise to image is walked. What comes before kDopri5 is Runge-Kutta of fixed steps; the two dopri5
/// choose their own. What comes before kDpmpp2m goes either way.
enum class Solver {
  kEuler,
  kMidpoint,
  kHeun,
  kHeun3,
  kRk4,
  kDopri5,      ///< one step size for all images that are drawn together
  kDopri5Each,  ///< one for each image
  kAdamsBashforth,
  kDpmpp2m,
  kUnipc,
  kEulerMaruyama,
  kStochasticHeun,
  kDdim,
  kDdpm,
  kEdm
};
constexpr auto names_of(Solver) {
  return std::array{
      "euler",    "midpoint", "heun",           "heun3",           "rk4",  "dopri5", "dopri5_each", "adams_bashforth",
      "dpmpp_2m", "unipc",    "euler_maruyama", "stochastic_heun", "ddim", "ddpm",   "edm"};
}

/// Where the steps lie (grid.h).
enum class Grid { kUniform, kOwn, kRespaced, kStrided, kShifted, kCosine, kKarras, kList, kFitted };
constexpr auto names_of(Grid) {
  return std::array{"uniform", "own", "respaced", "strided", "shifted", "cosine", "karras", "list", "fitted"};
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

/// The variance of a DDPM step.
enum class Variance { kSmall, kLarge, kLearned };
constexpr auto names_of(Variance) {
  return std::array{"small", "large", "learned"};
}

/// In whose terms the strength of guidance is given (guidance.h).
enum class Convention { kW, kPaper, kDit, kImagen };
constexpr auto names_of(Convention) {
  return std::array{"w", "paper", "dit", "imagen"};
}

/// How w - 1 goes with time; each has the mean 1 over [0, 1].
enum class Schedule { kConstant, kRising, kFalling, kMiddle };
constexpr auto names_of(Schedule) {
  return std::array{"constant", "rising", "falling", "middle"};
}

/// What guidance leads away from.
enum class Guide {
  kNull,     ///< the null condition
  kOther,    ///< another cluster, drawn for each image
  kNetwork,  ///< a weaker network under the same condition
  kInput,    ///< nothing: the network is told the strength, and was trained to draw at it
};
constexpr auto names_of(Guide) {
  return std::array{"null", "other", "network", "input"};
}

/// What is done where guidance is not evaluated (`guidance_every`).
enum class Between { kCached, kNone };
constexpr auto names_of(Between) {
  return std::array{"cached", "none"};
}

/// What bounds predictions of the clean image.
enum class Clip { kNone, kClamp, kDynamic };
constexpr auto names_of(Clip) {
  return std::array{"none", "clamp", "dynamic"};
}

/// What clusters, or what else images are told, are drawn by.
enum class Prior { kEmpirical, kUniform, kLearned };
constexpr auto names_of(Prior) {
  return std::array{"empirical", "uniform", "learned"};
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
  Convention guidance_convention = Convention::kW;
  Schedule guidance_schedule = Schedule::kConstant;
  Guide guide = Guide::kNull;
  double inner_guidance = 1, inner_guidance_begin = 0, inner_guidance_end = 1;
  double guidance_rescale = 0;
  int64_t guidance_every = 1;
  Between guidance_between = Between::kCached;
  Clip clip = Clip::kNone;
  double clip_percentile = 0.995;
  Prior prior = Prior::kEmpirical;
  double prior_temperature = 1;
  std::string times{};
  double shift = 3;
  double karras_rho = 7;
  double rtol = 1e-5, atol = 1e-5;
  double eta = 0;
  Variance variance = Variance::kSmall;
  double churn = 40, churn_min = 0.05, churn_max = 50, churn_noise = 1.003;
  Precision precision = Precision::kFloat32;
  Graph graph = Graph::kNone;

  void visit(config::Fields& fields);
  bool operator==(const SampleOptions&) const = default;

 private:
  void visit_walk(config::Fields& fields);      // options_walk.cpp
  void visit_guidance(config::Fields& fields);  // options_guidance.cpp
};

/// Does the solver choose its own steps?
constexpr bool has_own_steps(Solver solver) {
  return solver == Solver::kDopri5 || solver == Solver::kDopri5Each;
}
/// Does the solver also go from image to noise?
constexpr bool goes_either_way(Solver solver) {
  return solver <= Solver::kAdamsBashforth;
}
/// Does it add noise on the way, so that images depend on more than where they began?
bool adds_noise(const SampleOptions& options);

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
