#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/reference.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/evaluate/gather.h"
#include "sdg/evaluate/image_feeds.h"
#include "sdg/evaluate/measure.h"
#include "sdg/io/digest.h"

namespace sdg::cli {
namespace {
namespace fs = std::filesystem;

struct Arguments {
  std::string data, extractor, weights, out, cache, device = "auto";
  int64_t count = 0, size = 0;
  bool rows = false;
  Precision precision = Precision::kFloat32;
};

constexpr const char* kExamples =
    "  sdg ref-stats train/ --extractor inception --out train-stats.npz   what pytorch-fid, ADM and EDM read\n"
    "  sdg ref-stats samples/ --extractor inception --rows --out samples.npz   features, too: every metric, later\n"
    "  sdg eval --reference \"$(sdg ref-stats train/ --extractor inception)\"   made once, then taken from the cache\n";

fs::path cache_folder(const Arguments& arguments) {
  if (!arguments.cache.empty()) return arguments.cache;
  const char* home = std::getenv("HOME");
  SDG_CHECK_USAGE(home && *home, "--cache: $HOME is not set; name a folder, or a file with --out");
  return fs::path(home) / ".cache" / "sdg" / "statistics";
}

// Of what the statistics are a function: the images as they are seen, the network, its front end.
std::string key_of(const metrics::ImageFeed& feed, const vision::FeatureExtractor& extractor) {
  io::Digest digest;
  digest.text(extractor.name()).text(extractor.weights_digest()).text(extractor.input());
  if (extractor.width(vision::Layer::kSpatial) > 0) digest.text("spatial features pixel by pixel");
  feed([&](const std::vector<Tensor>& images) {
    for (const auto& image : images) digest.tensor(image);
  });
  return digest.hex();
}

int execute(const Arguments& arguments) {
  SDG_CHECK_USAGE(arguments.out.empty() || fs::path(arguments.out).extension() == ".npz",
                  "--out: expected a name that ends in .npz, got ", arguments.out);
  SDG_CHECK_USAGE(arguments.out.empty() || !fs::exists(arguments.out) || evaluate::holds_statistics(arguments.out),
                  "--out: ", arguments.out, " is there and holds no statistics; choose another name");
  SDG_CHECK_USAGE(!evaluate::holds_statistics(arguments.data), arguments.data, ": holds statistics already");
  const auto device = parse_device(arguments.device);
  const auto extractor =
      vision::make_extractor(arguments.extractor, arguments.weights, device, {}, arguments.precision);
  const evaluate::MeasureOptions options{.limit = arguments.count, .size = arguments.size};
  fs::path target = arguments.out;
  if (target.empty()) {
    ProgressBar bar("fingerprint", "img/s");
    const auto key = key_of(evaluate::path_feed(arguments.data, options, bar.callback()), *extractor);
    target = cache_folder(arguments) / cat(extractor->name(), "-", key, arguments.rows ? "-rows.npz" : ".npz");
    if (fs::is_regular_file(target)) {
      evaluate::stored_side(target.string(), *extractor, {}, false);  // a damaged one is said, not used
      say(cat("there already: ", target.string()));
      std::printf("%s\n", target.c_str());
      return 0;
    }
    fs::create_directories(target.parent_path());
  }
  ProgressBar bar("images", "img/s");
  evaluate::Wanted wanted;
  wanted.spatial = extractor->width(vision::Layer::kSpatial) > 0;
  wanted.rows = arguments.rows;
  wanted.logits = arguments.rows && extractor->width(vision::Layer::kLogits) > 0;
  wanted.keep = std::numeric_limits<int64_t>::max();
  const auto side = evaluate::gather(evaluate::path_feed(arguments.data, options, bar.callback()), *extractor, wanted);
  bar.finish();
  metrics::write_statistics(target, side.pooled,
                            wanted.spatial ? std::optional(side.spatial) : std::optional<metrics::Gaussian>(),
                            {side.rows, side.logits});
  std::printf("%s\n", target.c_str());
  return 0;
}

}  // namespace

Command ref_stats_command() {
  return {
      "ref-stats", "Mean and covariance of a data set's features, made once and kept under what they depend on.",
      kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        app.add_option("data", arguments->data, "a data set, an .npz of images (arr_0)")->required()->type_name("PATH");
        declare(app, "--extractor", arguments->extractor, declared("eval.extractor"))->required();
        app.add_option("--extractor-weights", arguments->weights,
                       "its weights, where they are not in the default place")
            ->type_name("FILE");
        declare_extractor_precision(app, arguments->precision);
        app.add_flag(
            "--rows", arguments->rows,
            "also keep the features (and logits) themselves, which metrics other than a Fréchet distance take; "
            "8 KB an image of Inception");
        declare(app, "--count", arguments->count,
                own<int64_t>({.help = "at most this many images; 0 takes all", .min = 0}));
        declare(app, "--size", arguments->size,
                own<int64_t>({.help = "cut and resize images to squares of this side first, as training does; "
                                      "default: they are taken as they are",
                              .min = 1,
                              .max = 65536}))
            ->type_name("PIXELS");
        app.add_option("--out", arguments->out, "write here; default: into the cache, where it is kept")
            ->type_name("FILE.npz");
        app.add_option("--cache", arguments->cache, "folder of the cache; default: ~/.cache/sdg/statistics")
            ->type_name("DIR");
        declare_device(app, arguments->device);
        return [arguments] { return execute(*arguments); };
      }};
}

}  // namespace sdg::cli
