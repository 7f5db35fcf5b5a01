#include <cstdio>

#include "cli/command.h"
#include "cli/reference.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/train/evaluate.h"
#include "sdg/train/latent_images.h"

namespace sdg::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  SamplingArguments sampling;
  std::string images, reference, extractor, weights, save_statistics;
  int64_t reference_count = 0;
  bool json = false;
};

constexpr const char* kExamples =
    "  sdg eval-fid                                     the newest run against its training data\n"
    "  sdg eval-fid --guidance 1.5 --count 5000 --json  one JSON object on standard output\n"
    "  sdg eval-fid --images samples/ --reference VIRTUAL_imagenet256.npz --extractor inception\n";

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.sampling.device);
  const bool from_images = !arguments.images.empty();
  SDG_CHECK_USAGE(!from_images || !arguments.reference.empty(),
                  "--images needs --reference: a data set, or an .npz with mu and sigma");
  train::Trained trained;
  train::RunConfig config;
  data::DataOptions images;
  if (!from_images) {
    trained = load(arguments.sampling, device);
    config = trained.info.config;
    images = train::reference_options(trained.info, arguments.reference.empty() && config.eval.reference.empty());
  }
  const std::string extractor_name = arguments.extractor.empty() ? config.eval.extractor : arguments.extractor;
  const auto extractor =
      metrics::make_extractor(extractor_name, arguments.weights.empty() ? config.eval.weights : arguments.weights);
  const std::string reference = arguments.reference.empty() ? config.eval.reference : arguments.reference;

  // The reference first: a wrong path should not cost the time of sampling.
  const auto target = statistics_of(reference, images, *extractor, arguments.reference_count, "reference");
  metrics::Gaussian drawn;
  train::GenerateOptions options;
  if (from_images) {
    drawn = statistics_of(arguments.images, images, *extractor, 0, "images");
  } else {
    options = generate_options(arguments.sampling, trained, config.eval.count, device);
    ProgressBar bar("sample", "img/s");
    drawn = train::sample_statistics(trained, options, device, *extractor, bar.callback());
  }
  if (!arguments.save_statistics.empty()) metrics::write_statistics(arguments.save_statistics, drawn);
  const double distance = metrics::frechet_distance(drawn, target);
  const std::string reference_text = !reference.empty()     ? reference
                                     : trained.info.latents ? images.path
                                                            : trained.info.data;

  if (arguments.json) {
    ordered_json out{{"metric", extractor->metric_name()}, {"value", distance},
                     {"extractor", extractor->name()},     {"count", drawn.count},
                     {"reference", reference_text},        {"reference_count", target.count}};
    if (from_images) {
      out["images"] = arguments.images;
    } else {
      out.update({{"checkpoint", trained.path},
                  {"step", trained.info.step},
                  {"condition", config.condition.source},
                  {"guidance", options.guidance},
                  {"steps", options.steps},
                  {"solver", options.solver},
                  {"seed", options.seed},
                  {"weights", arguments.sampling.weights}});
    }
    std::printf("%s\n", io::json_text(out).c_str());
    return 0;
  }
  std::printf("%s %.4f  (%lld images against %s", extractor->metric_name().c_str(), distance,
              static_cast<long long>(drawn.count), reference_text.c_str());
  if (!from_images) {
    std::printf("; guidance %g, %lld %s steps, seed %lld", options.guidance, static_cast<long long>(options.steps),
                options.solver.c_str(), static_cast<long long>(options.seed));
  }
  std::printf(")\n");
  return 0;
}

}  // namespace

Command eval_fid_command() {
  return {"eval-fid", "Frechet distance between generated and real images, named by its feature extractor.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_sampling(app, arguments->sampling);
            app.add_option("--images", arguments->images,
                           "measure these images (folder, tar or npz) instead of a checkpoint")
                ->type_name("PATH");
            app.add_option(
                   "--reference", arguments->reference,
                   "what to compare with: a data set, or an .npz with mu and sigma; default: the run's training data")
                ->type_name("PATH");
            app.add_option("--reference-count", arguments->reference_count,
                           "take only this many images of the reference data set; 0 takes all")
                ->type_name("N");
            app.add_option("--extractor", arguments->extractor,
                           "feature network: " + join(metrics::extractor_names()) + "; only inception gives an FID")
                ->type_name("NAME");
            app.add_option("--extractor-weights", arguments->weights,
                           "its weights, where they are not in the default place")
                ->type_name("FILE");
            app.add_option("--save-statistics", arguments->save_statistics,
                           "also write mu and sigma of the measured images")
                ->type_name("FILE.npz");
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
