#include "sdg/sample/options.h"

#include <set>

#include "sdg/config/value.h"
#include "sdg/core/error.h"
#include "sdg/sample/guidance.h"

namespace sdg::sample {

void SampleOptions::visit(config::Fields& fields) {
  fields("steps", &steps,
         {.help = "Equal steps from noise to image. More are more exact and slower in proportion; 25 is enough for "
                  "most networks.",
          .unit = "steps",
          .min = 1,
          .max = 10000,
          .resume = config::Resume::kFree});
  fields(
      "guidance", &guidance,
      {.help =
           "w of v_u + w (v_c - v_u): 1.0 is conditional, 0 is unconditional, above 1 images follow their cluster more "
           "closely and vary less. Each step costs two evaluations unless w is 0 or 1. (sgfm's scale s is w = 1 + s.)",
       .min = 0,
       .max = 1000,
       .resume = config::Resume::kFree});
  fields("guidance_begin", &guidance_begin,
         {.help = "Guidance acts only from this time on; before it w is 1 (arXiv 2404.07724: guiding the noisiest part "
                  "costs variety).",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree});
  fields("guidance_end", &guidance_end,
         {.help = "Guidance acts only up to this time; after it w is 1.",
          .unit = "time",
          .min = 0,
          .max = 1,
          .resume = config::Resume::kFree});
  fields("solver", &solver,
         {.help = "Evaluations per step are 1 for euler, 2 for midpoint and heun, 3 for heun3, 4 for rk4. dopri5 "
                  "chooses its own steps (steps is ignored), and its images depend on the batch they were made in. "
                  "adams_bashforth is of order 2 like heun at one evaluation a step: it remembers the one before. "
                  "euler_maruyama adds noise on the way (SiT's SDE; diffusion, last_step), at one evaluation a step; "
                  "it needs more steps, 100 and above.",
          .resume = config::Resume::kFree});
  fields("grid", &grid,
         {.help = "Where the steps lie: uniform, at equal steps of t; own, at equal steps of the path that the network "
                  "was trained on (model.path), which with solver euler is DDIM's spacing.",
          .resume = config::Resume::kFree});
  fields("count", &count,
         {.help = "How many images to make.", .unit = "images", .min = 1, .resume = config::Resume::kFree});
  fields("batch", &batch,
         {.help = "Images made at once: more need more memory. With fixed-step solvers it changes speed, not the noise "
                  "an image starts "
                  "from.",
          .unit = "images",
          .min = 1,
          .resume = config::Resume::kFree,
          .only_speed = true});
  fields("seed", &seed,
         {.help = "Image i is a function of (seed, i): the same seed gives the same images, another one gives others.",
          .min = 0,
          .resume = config::Resume::kFree});
  fields("diffusion", &diffusion,
         {.help = "Solver euler_maruyama: how much noise is added at time t and taken away again by the score. sigma "
                  "falls with the noise that is left, linear as 1 - t; constant; sbdm is that of the path's own "
                  "diffusion, much early on; decreasing; increasing_decreasing, most in the middle.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("diffusion_norm", &diffusion_norm,
         {.help = "Solver euler_maruyama: factor of the diffusion. 0 adds no noise; larger ones need more steps.",
          .min = 0,
          .max = 100,
          .resume = config::Resume::kFree,
          .later = true});
  fields("last_step", &last_step,
         {.help = "Solver euler_maruyama: the last step adds no noise. mean takes only its drift; tweedie jumps to the "
                  "prediction of the image, euler goes on along the velocity, which on this path is nearly the same; "
                  "none has no such step, which leaves the images a little noisy.",
          .resume = config::Resume::kFree,
          .later = true});
  fields("last_step_size", &last_step_size,
         {.help = "Solver euler_maruyama: length of the last step; the steps before it share the rest.",
          .unit = "time",
          .min = 0.0001,
          .max = 0.9999,
          .resume = config::Resume::kFree,
          .later = true});
  fields("guidance_channels", &guidance_channels,
         {.help = "Guidance acts on this many channels, the first ones; the others stay conditional. 0 is all of them. "
                  "The public samplers of DiT, SiT and REPA guide 3 of their 4.",
          .unit = "channels",
          .min = 0,
          .resume = config::Resume::kFree,
          .later = true});
}

std::map<std::string, std::string> idle(const SampleOptions& options) {
  std::map<std::string, std::string> out;
  const auto none = [&](std::initializer_list<const char*> names, const char* reason) {
    for (const auto* name : names) out.emplace(name, reason);
  };
  if (options.guidance == 1) {
    none({"guidance_begin", "guidance_end"}, "guidance is 1 inside as outside");
    none({"guidance_channels"}, "guidance is 1, which changes no channel");
  }
  if (options.solver == Solver::kDopri5) none({"steps", "grid"}, "dopri5 chooses its own steps");
  if (options.solver != Solver::kEulerMaruyama)
    none({"diffusion", "diffusion_norm", "last_step", "last_step_size"}, "only euler_maruyama adds noise on the way");
  if (options.last_step == LastStep::kNone) none({"last_step_size"}, "there is no last step of its own");
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
  SDG_CHECK_USAGE(options.steps >= 2 || idle(options).contains("last_step_size"),
                  "steps: ", config::name(options.solver),
                  " needs at least 2, of which one is the last (last_step), got ", options.steps);
}

bool is_unconditional(const SampleOptions& options) {
  return options.guidance == 0 && options.guidance_channels == 0 && guidance_of(options).whole();
}

std::string steps_text(const SampleOptions& options) {
  const bool own_steps = idle(options).contains("steps");
  return cat(own_steps ? std::string() : cat(options.steps, " "), config::name(options.solver), " steps");
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
