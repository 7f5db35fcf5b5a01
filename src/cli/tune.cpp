#include <cstdio>
#include <filesystem>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/process.h"
#include "cli/sample_output.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "cli/tune_drawer.h"
#include "generate/options_json_impl.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/config/value.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/version.h"
#include "sdg/evaluate/protocol.h"
#include "sdg/io/atomic_file.h"
#include "sdg/io/folder_lock.h"
#include "sdg/study/search_report.h"
#include "sdg/study/tuned.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr int64_t kImages = 20000;

struct Arguments {
  std::string run, autoencoder, device = "auto";
  TuneAxisArguments axes;
  ReferenceArguments reference;
  int64_t images = 0, least = study::SearchOptions().least, resamples = study::SearchOptions().resamples;
  double seconds = 0;
  bool json = false;
};

constexpr const char* kExamples =
    "  sdg tune runs/digits                             20,000 images: strength, interval, and what the run kept\n"
    "  sdg tune runs/digits --seconds 600               or as many as ten minutes draw\n"
    "  sdg tune runs/digits --guidance 1,2,3 --begin 0  of these alone\n"
    "  sdg sample --run runs/digits                     draws as was found; --untuned as the run's configuration "
    "says\n";

ordered_json interval_json(const metrics::FrechetInterval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

ordered_json point_json(const std::vector<study::SearchAxis>& axes, const study::SearchPoint& point) {
  ordered_json out = ordered_json::object();
  for (size_t i = 0; i < axes.size(); ++i) out[axes[i].name] = axes[i].values[point[i]];
  return out;
}

ordered_json result_json(const std::vector<study::SearchAxis>& axes, const study::SearchResult& result,
                         const std::vector<std::string>& warnings) {
  ordered_json points = ordered_json::array(), rounds = ordered_json::array();
  for (const auto& each : result.points)
    points.push_back(
        {{"point", point_json(axes, each.point)}, {"drawn", each.images}, {"distance", interval_json(each.distance)}});
  for (const auto& round : result.rounds) {
    ordered_json those = ordered_json::array();
    for (size_t i = 0; i < round.points.size(); ++i)
      those.push_back({{"point", point_json(axes, round.points[i])}, {"distance", round.distances[i]}});
    rounds.push_back({{"about", round.about}, {"images", round.images}, {"nearest_first", those}});
  }
  ordered_json out{{"best", point_json(axes, result.best)},
                   {"default", point_json(axes, result.start)},
                   {"images", result.images},
                   {"seconds", result.seconds},
                   {"compared_images", result.compared},
                   {"points", points},
                   {"rounds", rounds},
                   {"at_edge", result.at_edge},
                   {"left_out", result.left_out},
                   {"within_noise", result.within_noise()},
                   {"warnings", warnings}};
  if (!result.proof) return out;
  out["proof"] = {{"images", result.proof->images},
                  {"best", interval_json(result.proof->best)},
                  {"default", interval_json(result.proof->start)}};
  if (result.proof->difference) out["proof"]["difference"] = interval_json(*result.proof->difference);
  return out;
}

// How the distances of the proof were made.
evaluate::Protocol protocol_of(const TuneDrawer& drawer, const study::SearchResult& result, const TunedDrawing& drawing,
                               const checkpoint::Trained& trained) {
  const auto count = result.proof ? result.proof->images : result.compared;
  auto out = evaluate::images_protocol(drawer.extractor(), std::to_string(count), drawer.size(), drawer.reference());
  evaluate::add_drawn(out, drawing.sample, trained.info.config.condition.source);
  out.emplace_back("sample.weights", drawing.width > 0 ? cat("average of width ", drawing.width) : "ema");
  if (drawing.guide_step > 0) out.emplace_back("sample.guide_step", std::to_string(drawing.guide_step));
  return out;
}

// Where nothing is proven, or the proof says that the default is no worse, it stays.
bool is_stored(const study::SearchResult& result) {
  return result.best != result.start && result.proof && result.proof->difference && result.proof->difference->value < 0;
}

void store(const fs::path& run, const checkpoint::Trained& trained, const TuneDrawer& drawer,
           const TunedDrawing& drawing, const std::string& found) {
  study::Tuned out;
  out.step = trained.info.step;
  auto sample = trained.info.config.sample;
  const auto fields = config::Fields::of(sample);
  sample = drawing.sample;
  for (const auto* name : {"guidance", "guidance_begin", "guidance_end", "guide", "inner_guidance"})
    out.options[name] = config::as_given(config::current_value(*fields.find(name)));
  const auto relative = [&](const std::string& file) {
    return file.empty() ? std::string() : fs::path(file).lexically_relative(run).generic_string();
  };
  out.average = relative(drawer.average_file(drawing));
  out.guide = relative(drawer.guide_file(drawing));
  out.found = found;
  study::write_tuned(run, out);
}

study::SearchOptions options_of(const Arguments& arguments) {
  SDG_CHECK_USAGE(arguments.images == 0 || arguments.seconds == 0, "--seconds: the budget is --images or --seconds");
  study::SearchOptions out;
  out.budget.images = arguments.images;
  out.budget.seconds = arguments.seconds;
  if (arguments.images == 0 && arguments.seconds == 0) out.budget.images = kImages;
  out.least = arguments.least;
  SDG_CHECK_USAGE(out.budget.seconds > 0 || out.budget.images >= 2 * out.least, "--images: ", out.budget.images,
                  " are not enough for two settings of ", out.least, " (--least); give ", 2 * out.least, " or more");
  out.resamples = arguments.resamples;
  return out;
}

int execute(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  auto options = options_of(arguments);
  const auto path = checkpoint::find_checkpoint(arguments.run, "");
  const auto run = checkpoint::RunFolder::of_checkpoint(path).root();
  const auto trained = checkpoint::load_trained(path, device);
  const auto axes = tune_axes(arguments.axes, trained, [](const std::string& note) { say(note); });
  std::vector<study::SearchAxis> searched;
  for (const auto& axis : axes) searched.push_back(axis.search);
  const auto folder = run / "tune";
  const io::FolderLock lock(folder, "sdg tune");
  TuneDrawer drawer(trained, arguments.reference, arguments.autoencoder, folder, device);
  catch_signals();

  auto own = trained.info.config.sample;
  own.batch = std::max<int64_t>(own.batch, 256);
  if (!trained.prior.defined()) own.guidance = 1;
  ProgressBar bar("tune", "img/s");
  const auto draws = [&](bool evenly) {
    return [&, evenly](const study::SearchPoint& point, int64_t first, int64_t count) {
      return drawer.rows(drawing_of(axes, point, own), first, count, evenly);
    };
  };
  options.prove = draws(/*evenly=*/false);
  options.canonical = [&](const study::SearchPoint& point) { return same_drawing(axes, point, own); };
  options.seconds = [&] { return drawer.seconds(); };
  options.progress = [&](int64_t done, int64_t total) { bar.update(done, total); };
  study::SearchResult result;
  try {
    result = study::search(searched, draws(/*evenly=*/true), drawer.reference().pooled, options);
  } catch (const Stopped&) {
    bar.finish();
    say(cat("stopped; what was drawn is in ", folder.string(), "; the same command goes on"));
    return 128 + caught_signal();
  }
  bar.finish();
  if (drawer.found() > 0) say(cat(drawer.found(), " of the images had been drawn before"));

  const auto findings = study::search_findings(searched, result, drawer.metric());
  const auto warnings = study::search_warnings(searched, result);
  const auto table = study::search_table(searched, result, drawer.metric());
  const auto best = drawing_of(axes, result.best, own);
  const auto protocol = protocol_of(drawer, result, best, trained);
  auto json = result_json(searched, result, warnings);
  json["metric"] = drawer.metric();
  json["protocol_id"] = evaluate::protocol_id(protocol);
  for (const auto& [field, value] : protocol) json["protocol"][field] = value;
  json["checkpoint"] = path.string();
  json["step"] = trained.info.step;
  json["program"] = cat("sdg ", version());
  json["stored"] = is_stored(result);
  io::write_atomically(folder / "result.json", [&](std::ostream& out) { out << io::json_text(json, 2) << "\n"; });
  io::write_atomically(folder / "table.md", [&](std::ostream& out) { out << table; });
  const auto drawn = report::svg(study::search_charts(searched, result, drawer.metric()));
  io::write_atomically(folder / "curve.svg", [&](std::ostream& out) { out << drawn; });
  if (arguments.json) {
    std::printf("%s\n", io::json_text(json).c_str());
  } else {
    std::printf("%s\n", table.c_str());
    for (const auto& line : findings) std::printf("%s\n", line.c_str());
    std::printf("%lld images in %.0f seconds of drawing\n", static_cast<long long>(result.images), result.seconds);
  }
  for (const auto& line : warnings) warn(line);
  if (is_stored(result)) {
    store(run, trained, drawer, best, findings.back());
    say(cat("stored in ", study::tuned_path(run).string(), ": sdg sample --run ", run.string(), " draws so"));
  } else {
    std::error_code ignored;
    fs::remove(study::tuned_path(run), ignored);
    say(cat(run.string(), ": the run's own options stay"));
  }
  drawer.clear(is_stored(result) ? best : TunedDrawing());
  say(cat("wrote ", (folder / "curve.svg").string(), ", table.md and result.json"));
  return 0;
}

}  // namespace

Command tune_command() {
  return {
      "tune", "Find how a run draws best, within a budget, and let sdg sample draw so.", kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        app.add_option("run,--run", arguments->run, "the run; default: the newest one under runs/")->type_name("DIR");
        declare(app, "--images", arguments->images,
                own<int64_t>({.help = "budget: images to draw in all; default 20000", .min = 64}));
        declare(app, "--seconds", arguments->seconds,
                own<double>({.help = "budget: seconds of drawing instead", .min = 1}));
        declare_tune_axes(app, arguments->axes);
        declare(app, "--least", arguments->least,
                own<int64_t>({.help = "images of a setting, at least", .unit = "images", .min = 16}), "Default: 64.");
        declare(app, "--resamples", arguments->resamples,
                own<int64_t>({.help = "draws of the bootstrap intervals", .min = 2}), "Default: 100.");
        declare_reference(app, arguments->reference);
        app.add_option("--autoencoder", arguments->autoencoder,
                       "runs trained on latents: what decodes them; default: what made them")
            ->type_name("FILES");
        declare_device(app, arguments->device);
        app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
        return [arguments] { return execute(*arguments); };
      }};
}

}  // namespace sdg::cli
