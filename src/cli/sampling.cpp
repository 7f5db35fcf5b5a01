#include "cli/sampling.h"

#include <algorithm>
#include <charconv>

#include "cli/terminal.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/io/image.h"
#include "sdg/sample/solver.h"
#include "sdg/train/assign.h"
#include "sdg/train/latent_images.h"
#include "sdg/train/run_folder.h"
#include "sdg/train/same_data.h"

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

// Grey values as cluster numbers, [L] row by row; larger pictures have one block of equal size a patch, whose middle
// counts.
Tensor painted_map(const std::string& path, const train::Trained& trained) {
  SDG_CHECK_USAGE(trained.prior.defined() && trained.prior.dim() == 2,
                  "--map: needs a run with cluster.level patch that was trained with conditions");
  const auto picture = io::read_image(path)[0].to(at::kLong);  // [H, W]
  int64_t side = 1;
  while (side * side < trained.prior.size(1)) ++side;
  SDG_CHECK_USAGE(picture.size(0) == picture.size(1) && picture.size(0) % side == 0, path,
                  ": a map of clusters must be square with a side of ", side, " or a multiple of it, got ",
                  picture.size(1), " x ", picture.size(0));
  const auto block = picture.size(0) / side;
  const auto middles = at::arange(side) * block + block / 2;
  return picture.index_select(0, middles).index_select(1, middles).flatten();
}

// What the network sees in an image file, or in image N of the training data; [L].
Tensor map_seen_in(const std::string& text, const train::Trained& trained, const at::Device& device) {
  const auto& config = trained.info.config;
  SDG_CHECK_USAGE(trained.prior.defined() && trained.prior.dim() == 2,
                  "--map-from: needs a run with cluster.level patch that was trained with conditions");
  int64_t index = 0;
  const auto* const end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data(), end, index);
  const bool number = failed == std::errc() && stop == end;
  auto options = config.data;
  if (!number) {
    SDG_CHECK_USAGE(!trained.info.latents,
                    "--map-from: this run was trained on latents; name the number of a training "
                    "image, or encode the file first");
    options.path = text;
    options.format = "image";
    index = 0;
  }
  const auto opened = data::open_data(options, number ? config.config_dir : "");
  if (number) train::check_own_data(trained, opened);
  const data::Dataset dataset(opened, options);
  SDG_CHECK_USAGE(index >= 0 && index < dataset.size(), "--map-from: the training data has images 0 to ",
                  dataset.size() - 1, ", got ", index);
  return train::assign_clusters(config, trained.network, dataset, {index}, device)[0];
}

}  // namespace

void declare_sampling(CLI::App& app, SamplingArguments& arguments) {
  app.add_option("run,--run", arguments.run,
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
  app.add_option("--grid", arguments.grid,
                 "where the steps lie: uniform in t, or own, equal steps of the path the network was trained on")
      ->check(CLI::IsMember({"uniform", "own"}));
  auto* cluster =
      app.add_option("--cluster", arguments.cluster, "draw only this cluster; default: as frequent as in training")
          ->type_name("K");
  app.add_option("--class", arguments.config_class, "draw only this class (runs trained on labels): a name or an index")
      ->type_name("C")
      ->excludes(cluster);
  auto* map =
      app.add_option(
             "--map", arguments.map,
             "patch-level runs: a painted grey picture whose values are cluster numbers, one pixel (or one block of "
             "equal size) a patch; all images follow it")
          ->type_name("FILE.png")
          ->excludes(cluster);
  app.add_option("--map-from", arguments.map_from,
                 "patch-level runs: all images follow the map of clusters that the network sees in this image: a file, "
                 "or the number of a training image")
      ->type_name("FILE|N")
      ->excludes(cluster)
      ->excludes(map);
  app.add_option("--weights", arguments.weights, "ema (the average) or model (the raw weights)")
      ->check(CLI::IsMember({"ema", "model"}));
  app.add_option("--autoencoder", arguments.autoencoder,
                 "runs trained on latents: what decodes them; default: what made them")
      ->type_name("FILES");
  app.add_option("--device", arguments.device, "auto, cpu, cuda or cuda:N")->type_name("NAME");
}

train::Trained load(const SamplingArguments& arguments, const at::Device& device) {
  const auto path = train::find_checkpoint(arguments.run, arguments.checkpoint);
  auto trained = train::load_trained(path, device, arguments.weights);
  say(cat(path.string(), ": ", trained.info.config.model.name, ", condition ", trained.info.config.condition.source,
          ", step ", trained.info.step));
  return trained;
}

data::DataOptions data_options(const std::string& data, const train::Trained& trained) {
  auto options = trained.info.config.data;
  if (data.empty()) {
    SDG_CHECK_USAGE(!trained.info.converted, trained.path,
                    ": a converted checkpoint knows no data set; name one with --data");
    return options;
  }
  options.path = data;
  options.format = "auto";
  options.flip = false;
  return options;
}

train::GenerateOptions generate_options(const SamplingArguments& arguments, const train::Trained& trained,
                                        int64_t default_count, const at::Device& device) {
  auto options = train::sampling_defaults(trained.info.config);
  options.count = arguments.count.value_or(default_count);
  options.batch = arguments.batch.value_or(options.batch);
  options.seed = arguments.seed.value_or(options.seed);
  options.steps = arguments.steps.value_or(options.steps);
  options.guidance = arguments.guidance.value_or(options.guidance);
  if (!arguments.interval.empty()) {
    options.guidance_begin = arguments.interval.at(0);
    options.guidance_end = arguments.interval.at(1);
  }
  if (!arguments.solver.empty()) options.solver = arguments.solver;
  if (!arguments.grid.empty()) options.grid = arguments.grid;
  options.cluster = arguments.cluster.value_or(-1);
  SDG_CHECK_USAGE(options.batch >= 1, "--batch: must be at least 1, got ", options.batch);
  SDG_CHECK_USAGE(options.seed >= 0, "--seed: must be at least 0, got ", options.seed);
  SDG_CHECK_USAGE(!arguments.cluster || *arguments.cluster >= 0, "--cluster: must be at least 0, got ",
                  options.cluster);
  sample::evaluations_per_step(options.solver);  // an unknown name stops here, before anything that takes time
  if (!arguments.map.empty()) options.map = painted_map(arguments.map, trained);
  if (!arguments.map_from.empty()) options.map = map_seen_in(arguments.map_from, trained, device);
  if (!arguments.config_class.empty()) options.cluster = class_index(arguments.config_class, trained);
  options.to_images = train::to_images_of(trained.info, arguments.autoencoder, device);
  return options;
}

}  // namespace sdg::cli
