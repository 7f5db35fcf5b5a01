#include "cli/reference.h"

#include "cli/declared.h"
#include "cli/terminal.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/evaluate/measure.h"
#include "sdg/latents/latent_images.h"

namespace sdg::cli {

void declare_extractor_precision(CLI::App& app, Precision& precision) {
  declare(
      app, "--extractor-precision", precision,
      own<Precision>(
          {.help =
               "what Inception, DINO, DINOv2 and CLIP are computed in; features of one and of the "
               "other do not compare, and the protocol names it. bf16 needs a GPU or a CPU that computes it natively"}),
      "Default: float32.");
}

void declare_reference(CLI::App& app, ReferenceArguments& arguments) {
  declare(app, "--extractor", arguments.extractor, declared("eval.extractor"), "Default: the run's eval.extractor.");
  app.add_option("--extractor-weights", arguments.weights, "its weights, where they are not in the default place")
      ->type_name("FILE");
  declare_extractor_precision(app, arguments.precision);
  app.add_option("--reference", arguments.path,
                 "what to compare with: a data set, whose images are taken at their own size, an .npz of images "
                 "(arr_0), or an .npz of statistics (mu, sigma); default: the run's eval.reference, else its training "
                 "data as the network sees them")
      ->type_name("PATH");
  declare(app, "--reference-count", arguments.count,
          own<int64_t>({.help = "at most this many images of the reference; 0 takes all", .min = 0}));
  declare(app, "--size", arguments.size,
          own<int64_t>({.help = "cut and resize the images of named data sets to squares of this side first, as "
                                "training does; default: they are taken as they are",
                        .min = 1,
                        .max = 65536}))
      ->type_name("PIXELS");
}

std::unique_ptr<vision::FeatureExtractor> extractor_of(const ReferenceArguments& arguments,
                                                       const recipe::EvalOptions* run, const at::Device& device) {
  auto name = arguments.extractor;
  if (name.empty() && run) name = run->extractor;
  if (name.empty()) {
    name = recipe::EvalOptions().extractor;
    warn(cat("neither --extractor nor a run says in whose features the distance is taken: those of ", name,
             ", which say little about other images; --extractor inception gives an FID"));
  }
  auto weights = arguments.weights;
  if (weights.empty() && run && run->extractor == name) weights = run->weights;
  return vision::make_extractor(name, weights, device, {}, arguments.precision);
}

namespace {

// What `arguments` name, or else the run.
std::string reference_path(const ReferenceArguments& arguments, const checkpoint::CheckpointInfo* run) {
  const auto path = arguments.path.empty() && run ? run->config.eval.reference : arguments.path;
  if (path.empty()) {
    SDG_CHECK_USAGE(run,
                    "--images needs something to compare with: --reference PATH (a data set, or an .npz with mu and "
                    "sigma), or --run DIR for a run's training data");
    SDG_CHECK_USAGE(!run->converted,
                    "--reference: a converted checkpoint knows no data set; name what to compare with");
    return path;
  }
  SDG_CHECK_USAGE(arguments.count == 0 || !evaluate::holds_statistics(path), "--reference-count: ", path,
                  " holds statistics, of which no smaller number of images can be taken");
  return path;
}

// Images of the path, or else the run's training data. `text` becomes their name.
template <class Take>
auto with_reference_feed(const ReferenceArguments& arguments, const checkpoint::CheckpointInfo* run,
                         const std::string& path, std::string& text, const Take& take) {
  ProgressBar bar("reference", "img/s");
  if (!path.empty()) {
    text = path;
    return take(evaluate::path_feed(path, {.limit = arguments.count, .size = arguments.size}, bar.callback()));
  }
  const auto options = latents::reference_options(*run, true);
  text = run->latents ? options.path : run->data;
  const auto dataset = latents::open_images(options, run->config.config_dir);
  return take(evaluate::dataset_feed(dataset, arguments.count, bar.callback()));
}

}  // namespace

Reference reference_of(const ReferenceArguments& arguments, const checkpoint::CheckpointInfo* run,
                       vision::FeatureExtractor& extractor, Reducer& ranks) {
  Reference out;
  const auto path = reference_path(arguments, run);
  if (!path.empty() && evaluate::holds_statistics(path)) {
    out.text = path;
    out.stored = true;
    out.statistics = evaluate::measure(path, extractor);
    return out;
  }
  out.statistics = with_reference_feed(arguments, run, path, out.text, [&](const metrics::ImageFeed& feed) {
    return evaluate::gaussian_of(feed, extractor, ranks);
  });
  return out;
}

evaluate::Side reference_side(const ReferenceArguments& arguments, const checkpoint::CheckpointInfo* run,
                              vision::FeatureExtractor& extractor, const std::vector<evaluate::Metric>& metrics,
                              int64_t keep, Reducer& ranks) {
  const auto path = reference_path(arguments, run);
  if (!path.empty() && evaluate::holds_statistics(path))
    return evaluate::stored_side(path, extractor, metrics, false, keep);
  auto wanted = evaluate::wanted_of(metrics, false);
  wanted.keep = keep;
  std::string text;
  auto out = with_reference_feed(arguments, run, path, text, [&](const metrics::ImageFeed& feed) {
    return evaluate::gather(feed, extractor, wanted, ranks);
  });
  out.text = text;
  return out;
}

void check_sizes(const metrics::Gaussian& measured, const std::string& what, bool stored, const Reference& reference) {
  const auto& a = measured.size;
  const auto& b = reference.statistics.size;
  if (a == b || a.empty() || b.empty()) return;
  const auto text = cat(what, ": images of size ", a, " against images of size ", b, " (", reference.text, ")");
  const bool one_each = a != "mixed" && b != "mixed";
  SDG_CHECK(!(one_each && (stored || reference.stored)), text, ": statistics hold for the size they were made at");
  warn(cat(text, "; --size N brings those of data sets to one"));
}

}  // namespace sdg::cli
