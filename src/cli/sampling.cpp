#include "cli/sampling.h"

#include <algorithm>
#include <charconv>

#include "cli/terminal.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/sample/solver.h"
#include "sdg/train/run_folder.h"

namespace sdg::cli {
namespace {

// --class takes an index or one of the names that the checkpoint remembers.
int64_t class_index(const std::string& text, const train::Trained& trained) {
  const auto& names = trained.info.class_names;
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return found - names.begin();
  int64_t index = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), index);
  SDG_CHECK_USAGE(failed == std::errc() && end == text.data() + text.size(),
                  "--class: expected a class name of the training data or an index, got \"", text, "\"");
  return index;
}

}  // namespace

void declare_sampling(CLI::App& app, SamplingArguments& arguments) {
  app.add_option("--run", arguments.run,
                 "draw from the last checkpoint of this run; default: the newest run under runs/")
      ->type_name("DIR");
  app.add_option("--checkpoint", arguments.checkpoint, "draw from this checkpoint instead")->type_name("FILE");
  app.add_option("--count", arguments.count, "images to draw")->type_name("N");
  app.add_option("--batch", arguments.batch, "images under way at once; changes memory and speed, not the images")
      ->type_name("N");
  app.add_option("--seed", arguments.seed, "image i is a function of (seed, i)")->type_name("N");
  app.add_option("--steps", arguments.steps, "solver steps from noise to image")->type_name("N");
  app.add_option("--guidance", arguments.guidance,
                 "w in v_u + w (v_c - v_u): 1.0 is conditional, 0 unconditional, above 1 trades variety for fidelity")
      ->type_name("W");
  app.add_option("--guidance-interval", arguments.interval,
                 "two times between which guidance acts (0 noise, 1 image); elsewhere w is 1. Default 0 1")
      ->type_name("BEGIN END")
      ->expected(2)
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--solver", arguments.solver, "ODE solver: " + join(sample::solver_names()))->type_name("NAME");
  auto* cluster =
      app.add_option("--cluster", arguments.cluster, "draw only this cluster; default: as frequent as in training")
          ->type_name("K");
  app.add_option("--class", arguments.config_class, "draw only this class (runs trained on labels): a name or an index")
      ->type_name("C")
      ->excludes(cluster);
  app.add_option("--weights", arguments.weights, "ema (the average) or model (the raw weights)")
      ->check(CLI::IsMember({"ema", "model"}));
  app.add_option("--device", arguments.device, "auto, cpu, cuda or cuda:N")->type_name("NAME");
}

train::Trained load(const SamplingArguments& arguments, const at::Device& device) {
  const auto path = train::find_checkpoint(arguments.run, arguments.checkpoint);
  auto trained = train::load_trained(path, device, arguments.weights);
  say(cat(path.string(), ": ", trained.info.config.model.name, ", condition ", trained.info.config.condition.source,
          ", step ", trained.info.step));
  return trained;
}

train::GenerateOptions generate_options(const SamplingArguments& arguments, const train::Trained& trained,
                                        int64_t default_count) {
  const auto& defaults = trained.info.config.sample;
  train::GenerateOptions options;
  options.count = arguments.count.value_or(default_count);
  options.batch = arguments.batch.value_or(defaults.batch);
  options.seed = arguments.seed.value_or(defaults.seed);
  options.steps = arguments.steps.value_or(defaults.steps);
  options.guidance = arguments.guidance.value_or(defaults.guidance);
  options.guidance_begin = arguments.interval.empty() ? defaults.guidance_begin : arguments.interval.at(0);
  options.guidance_end = arguments.interval.empty() ? defaults.guidance_end : arguments.interval.at(1);
  options.solver = arguments.solver.empty() ? defaults.solver : arguments.solver;
  options.cluster = arguments.cluster.value_or(-1);
  SDG_CHECK_USAGE(options.batch >= 1, "--batch: must be at least 1, got ", options.batch);
  SDG_CHECK_USAGE(options.seed >= 0, "--seed: must be at least 0, got ", options.seed);
  SDG_CHECK_USAGE(!arguments.cluster || *arguments.cluster >= 0, "--cluster: must be at least 0, got ",
                  options.cluster);
  sample::evaluations_per_step(options.solver);  // an unknown name stops here, before anything that takes time
  if (!arguments.config_class.empty()) options.cluster = class_index(arguments.config_class, trained);
  return options;
}

}  // namespace sdg::cli
