// Which options have an effect, and how they are said.
#include <algorithm>
#include <set>

#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/options.h"

namespace sdg::sample {

std::map<std::string, std::string> idle(const SampleOptions& options) {
  std::map<std::string, std::string> out;
  const auto none = [&](std::initializer_list<const char*> names, const char* reason) {
    for (const auto* name : names) out.emplace(name, reason);
  };
  const auto guidance = guidance_of(options);
  const auto solver = options.solver;
  if (guidance.w == 1) {
    none({"guidance_begin", "guidance_end"}, "guidance is 1 inside as outside");
    none({"guidance_channels"}, "guidance is 1, which changes no channel");
    none({"guidance_schedule", "guide", "guidance_rescale", "guidance_every", "guidance_between"},
         "guidance is 1, which leads nowhere");
  }
  if (options.guidance_convention == Convention::kDit)
    none({"guidance_channels"}, "guidance_convention dit is that of the first 3 channels");
  if (options.guide == Guide::kInput)
    none({"guidance_rescale", "guidance_every", "guidance_between", "guidance_channels"},
         "guide input is one answer, of all channels, with nothing to lead away from");
  if (options.inner_guidance == 1)
    none({"inner_guidance_begin", "inner_guidance_end"}, "inner_guidance is 1 inside as outside");
  if (options.guidance_every == 1) none({"guidance_between"}, "guidance is evaluated everywhere (guidance_every 1)");
  if (options.clip != Clip::kDynamic) none({"clip_percentile"}, "only clip dynamic looks at percentiles");
  if (options.prior == Prior::kUniform) none({"prior_temperature"}, "a uniform prior stays one at any temperature");
  if (options.prior == Prior::kLearned) none({"prior_temperature"}, "a learned prior knows no frequencies");
  const auto& grid = options.grid;
  if (grid != Grid::kList) none({"times"}, "only grid list takes them");
  if (grid != Grid::kShifted) none({"shift"}, "only grid shifted has one");
  if (grid != Grid::kKarras) none({"karras_rho"}, "only grid karras has one");
  if (grid == Grid::kList) none({"steps"}, "grid list has the steps of its times");
  if (has_own_steps(solver)) {
    none({"steps", "grid", "times", "shift", "karras_rho"}, "dopri5 chooses its own steps");
  } else {
    none({"rtol", "atol"}, "only dopri5 chooses its steps by an error");
  }
  if (solver != Solver::kEulerMaruyama && solver != Solver::kStochasticHeun)
    none({"diffusion", "diffusion_norm", "last_step", "last_step_size"},
         "only euler_maruyama and stochastic_heun add noise so");
  if (options.last_step == LastStep::kNone) none({"last_step_size"}, "there is no last step of its own");
  if (grid == Grid::kList) none({"last_step_size"}, "the last of the given steps is the last step");
  if (solver != Solver::kDdim) none({"eta"}, "only ddim has one");
  if (solver != Solver::kDdpm) none({"variance"}, "only ddpm has one");
  if (solver != Solver::kEdm) none({"churn", "churn_min", "churn_max", "churn_noise"}, "only edm puts noise back");
  if (options.churn == 0) none({"churn_min", "churn_max", "churn_noise"}, "churn is 0, which puts no noise back");
  return out;
}

SampleOptions effective(const SampleOptions& options) {
  SampleOptions out;
  const auto fields = config::Fields::of(out);
  out = options;
  const auto without = idle(options);
  for (const auto& field : fields.list())
    if (field.doc.only_speed || without.contains(field.path)) config::assign(field, field.initial);
  return out;
}

void check(const SampleOptions& options) {
  auto values = options;
  try {
    config::check_values(config::Fields::of(values));
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
  SDG_CHECK_USAGE(options.guidance_begin <= options.guidance_end, "guidance interval: begin ", options.guidance_begin,
                  " is after end ", options.guidance_end);
  SDG_CHECK_USAGE(options.inner_guidance_begin <= options.inner_guidance_end, "inner guidance: begin ",
                  options.inner_guidance_begin, " is after end ", options.inner_guidance_end);
  SDG_CHECK_USAGE(options.guide != Guide::kInput || options.guidance_convention != Convention::kDit,
                  "guide input: guides all channels, guidance_convention dit the first 3");
  SDG_CHECK_USAGE(options.guidance_every == 1 || !has_own_steps(options.solver),
                  "guidance_every: ", config::name(options.solver),
                  " tries steps again, and would find another field there; take a solver of fixed steps");
  SDG_CHECK_USAGE(options.guide != Guide::kOther || guidance_of(options).w >= 1,
                  "guide other: guidance below 1 would draw the other cluster");
  SDG_CHECK_USAGE(options.grid == Grid::kList || options.times.empty(), "times: needs grid list, got grid ",
                  config::name(options.grid));
  if (options.grid == Grid::kList && !has_own_steps(options.solver)) listed_times(options.times);
  SDG_CHECK_USAGE(options.steps >= 2 || options.grid != Grid::kKarras, "steps: grid karras needs at least 2, got ",
                  options.steps);
  SDG_CHECK_USAGE(options.steps >= 2 || idle(options).contains("last_step_size"),
                  "steps: ", config::name(options.solver),
                  " needs at least 2, of which one is the last (last_step), got ", options.steps);
}

bool adds_noise(const SampleOptions& options) {
  switch (options.solver) {
    case Solver::kEulerMaruyama:
    case Solver::kStochasticHeun:
    case Solver::kDdpm:
      return true;
    case Solver::kDdim:
      return options.eta > 0;
    case Solver::kEdm:
      return options.churn > 0;
    default:
      return false;
  }
}

bool is_unconditional(const SampleOptions& options) {
  const auto guidance = guidance_of(options);
  return guidance.w == 0 && options.guide == Guide::kNull && guidance.channels == 0 && guidance.whole() &&
         guidance.schedule == Schedule::kConstant;
}

std::string steps_text(const SampleOptions& options) {
  const bool counted = !has_own_steps(options.solver);
  const auto steps =
      options.grid == Grid::kList ? std::count(options.times.begin(), options.times.end(), ',') : options.steps;
  return cat(counted ? cat(steps, " ") : std::string(), config::name(options.solver), " steps");
}

std::string to_text(const SampleOptions& options) {
  const std::set<std::string> said{"seed", "guidance", "guidance_begin", "guidance_end", "steps", "solver", "count"};
  SampleOptions values;
  const auto fields = config::Fields::of(values);
  values = effective(options);
  std::string text = cat("seed ", options.seed, ", guidance ", options.guidance);
  if (!guidance_of(values).whole()) text += cat(" from ", options.guidance_begin, " to ", options.guidance_end);
  text += ", " + steps_text(options);
  for (const auto& field : fields.list()) {
    if (said.contains(field.path) || !config::is_changed(field)) continue;
    text += cat(", ", field.path, " ", config::to_text(config::current_value(field)));
  }
  return text;
}

}  // namespace sdg::sample
