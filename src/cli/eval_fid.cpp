#include <cstdio>
#include <filesystem>
#include <optional>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/joined_ranks.h"
#include "cli/measured.h"
#include "cli/terminal.h"
#include "generate/options_json_impl.h"
#include "sdg/config/names.h"
#include "sdg/core/device.h"
#include "sdg/evaluate/measure.h"
#include "sdg/evaluate/score.h"

namespace sdg::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments : MeasuredArguments {
  std::string save_statistics;
  bool json = false;
  RankArguments ranks;
};

constexpr const char* kExamples =
    "  sdg eval-fid                                     the newest run against its training data\n"
    "  sdg eval-fid --guidance 1.5 --count 5000 --json  one JSON object on standard output\n"
    "  sdg eval-fid --images samples/ --reference VIRTUAL_imagenet256.npz --extractor inception\n";

/// What is measured.
struct Measured {
  metrics::Gaussian statistics;
  std::string text;           // as messages name it
  bool stored = false;        // read from a file of statistics
  sample::SampleOptions how;  // of what was drawn
};

Measured measure_images(const Arguments& arguments, vision::FeatureExtractor& extractor, Reducer& ranks) {
  Measured out;
  out.text = arguments.images;
  out.stored = evaluate::holds_statistics(arguments.images);
  ProgressBar bar("images", "img/s");
  const auto size = out.stored ? 0 : arguments.reference.size;
  out.statistics = evaluate::measure(arguments.images, extractor, {.size = size}, bar.callback(), ranks);
  return out;
}

Measured measure_drawn(const Arguments& arguments, const checkpoint::Trained& trained,
                       vision::FeatureExtractor& extractor, const at::Device& device, Reducer& ranks) {
  Measured out;
  out.text = trained.path;
  auto request = request_of(arguments.sampling, trained, trained.info.config.eval.count, device);
  out.how = request.sample;
  request.ranks = &ranks;
  ProgressBar bar("sample", "img/s");
  out.statistics =
      evaluate::gaussian_of(evaluate::sample_feed(trained, request, device, bar.callback()), extractor, ranks);
  return out;
}

// A count that a file of statistics does not tell is no number.
ordered_json count_of(const metrics::Gaussian& statistics) {
  return statistics.count > 0 ? ordered_json(statistics.count) : ordered_json();
}

void print(const Arguments& arguments, const vision::FeatureExtractor& extractor, double distance,
           const Measured& measured, const Reference& reference, const checkpoint::Trained* drawn_from) {
  if (arguments.json) {
    ordered_json out{{"metric", extractor.metric_name()},
                     {"value", distance},
                     {"extractor", extractor.name()},
                     {"extractor_weights", extractor.weights_digest()},
                     {"count", count_of(measured.statistics)},
                     {"size", measured.statistics.size},
                     {"reference", reference.text},
                     {"reference_count", count_of(reference.statistics)},
                     {"reference_size", reference.statistics.size}};
    if (!drawn_from) {
      out["images"] = arguments.images;
    } else {
      out.update({{"checkpoint", drawn_from->path},
                  {"step", drawn_from->info.step},
                  {"condition", config::name(drawn_from->info.config.condition.source)}});
      auto options = generate::to_json(measured.how);
      options.erase("count");  // it is that of the statistics
      out.update(options);
      out["weights"] = config::name(arguments.sampling.weights);
    }
    std::printf("%s\n", io::json_text(out).c_str());
    return;
  }
  const auto count = measured.statistics.count;
  std::printf("%s %.4f  (%s images against %s", extractor.metric_name().c_str(), distance,
              count > 0 ? std::to_string(count).c_str() : "an unknown number of", reference.text.c_str());
  if (drawn_from) {
    std::printf("; %s", sample::to_text(measured.how).c_str());
  }
  std::printf(")\n");
}

// Statistics may replace statistics, and nothing else.
void check_statistics_file(const std::string& path) {
  namespace fs = std::filesystem;
  SDG_CHECK_USAGE(fs::path(path).extension() == ".npz", "--save-statistics: expected a name that ends in .npz, got ",
                  path);
  SDG_CHECK_USAGE(!fs::exists(path) || (fs::is_regular_file(path) && evaluate::holds_statistics(path)),
                  "--save-statistics: ", path, " is there and holds no statistics; choose another name");
}

int execute(const Arguments& arguments, const CLI::App& app) {
  if (!arguments.save_statistics.empty()) check_statistics_file(arguments.save_statistics);
  check_measured(arguments, app);
  auto& ranks = join_ranks(arguments.ranks, arguments.sampling.device);
  const auto device = parse_device(arguments.sampling.device);
  const bool from_images = !arguments.images.empty();
  const auto run = run_of(arguments, app, device);
  const auto* info = run ? &run->info : nullptr;
  const auto extractor = extractor_of(arguments.reference, info ? &info->config.eval : nullptr, device);

  // The reference first: a wrong path should not cost the time of sampling.
  const auto reference = reference_of(arguments.reference, info, *extractor, ranks);
  const auto measured = from_images ? measure_images(arguments, *extractor, ranks)
                                    : measure_drawn(arguments, *run, *extractor, device, ranks);
  if (ranks.rank() > 0) {  // has drawn and looked at images for the first
    leave_ranks();
    return 0;
  }
  check_sizes(measured.statistics, measured.text, measured.stored, reference);
  evaluate::warn_of_few(measured.text, measured.statistics.count, extractor->dim());
  evaluate::warn_of_few(reference.text, reference.statistics.count, extractor->dim());
  const double distance = metrics::frechet_distance(measured.statistics, reference.statistics);
  if (!arguments.save_statistics.empty()) metrics::write_statistics(arguments.save_statistics, measured.statistics);
  print(arguments, *extractor, distance, measured, reference, from_images ? nullptr : &*run);
  leave_ranks();
  return 0;
}

}  // namespace

Command eval_fid_command() {
  return {"eval-fid", "Frechet distance between generated and real images, named by its feature extractor.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_measured(app, *arguments);
            app.add_option("--save-statistics", arguments->save_statistics,
                           "also write mu and sigma of the measured images, with what they were made with")
                ->type_name("FILE.npz");
            declare_ranks(app, arguments->ranks);
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments, &app] { return execute(*arguments, app); };
          }};
}

}  // namespace sdg::cli
