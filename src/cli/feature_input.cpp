#include "cli/feature_input.h"

#include <filesystem>

#include "cli/declared.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/evaluate/image_feeds.h"
#include "sdg/io/file_kind.h"
#include "sdg/metrics/feature_collector.h"
#include "sdg/network/features.h"
#include "sdg/tensors/tensor_file.h"
#include "sdg/vision/feature_extractor.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

Tensor labels_of(const data::OpenedData& opened) {
  return opened.labels ? opened.labels->labels() : Tensor();
}

// The images that rows of features are of, where `sdg features --store` wrote which; undefined elsewhere.
Tensor rows_of(const fs::path& features, int64_t count) {
  if (io::lower_suffix(features) != ".safetensors") return {};
  const auto file = tensors::read_tensors(features);
  const auto found = file.tensors.find("indices");
  const bool fits = found != file.tensors.end() && found->second.scalar_type() == at::kLong &&
                    found->second.dim() == 1 && found->second.size(0) == count &&
                    found->second.min().item<int64_t>() >= 0;
  return fits ? found->second : Tensor();
}

FeatureInput from_file(const FeatureArguments& arguments) {
  FeatureInput out;
  out.values = conditions::read_features(arguments.features);
  out.origin = conditions::feature_origin(arguments.features);
  if (!arguments.data.empty()) {
    data::DataOptions options;
    options.path = arguments.data;
    const auto opened = data::open_data(options, "");
    const auto images = data::fingerprint(opened);
    const auto rows = rows_of(arguments.features, out.values.size(0));  // undefined: all images
    SDG_CHECK_USAGE(rows.defined() || opened.size() == out.values.size(0), arguments.features, ": holds ",
                    out.values.size(0), " rows for ", opened.size(), " images of ", arguments.data);
    SDG_CHECK_USAGE(!rows.defined() || rows.max().item<int64_t>() < opened.size(), arguments.features, ": holds image ",
                    rows.max().item<int64_t>(), ", but ", arguments.data, " has only ", opened.size());
    checkpoint::check_made_for(out.origin.images, images, arguments.features, arguments.data);
    out.origin.images = images;
    out.labels = labels_of(opened);
    if (rows.defined() && out.labels.defined()) out.labels = out.labels.index_select(0, rows);
  }
  return out;
}

// Of an outside network, which sees each image without noise.
FeatureInput from_extractor(const FeatureArguments& arguments, Reducer& ranks) {
  SDG_CHECK_USAGE(arguments.features.empty(), "--extractor: looks at images; --features are there already");
  SDG_CHECK_USAGE(arguments.run.empty() && arguments.checkpoint.empty(),
                  "--extractor: an outside network looks at the images; --run and --checkpoint name another");
  SDG_CHECK_USAGE(!arguments.depth && !arguments.time && !arguments.pooling,
                  "--depth, --time, --pooling: say where in a network of ours to look; --extractor is an outside one");
  SDG_CHECK_USAGE(!arguments.data.empty(), "--extractor: name the images with --data");
  data::DataOptions options;
  options.path = arguments.data;
  const auto opened = data::open_data(options, "");
  SDG_CHECK_USAGE(opened.images, "--extractor: looks at images, and ", arguments.data, " holds latents");
  const auto extractor =
      vision::make_extractor(arguments.extractor, arguments.extractor_weights, parse_device(arguments.device));
  FeatureInput out;
  ProgressBar bar("features", "img/s");
  metrics::FeatureCollector collector(opened.size());
  metrics::for_each_features(evaluate::source_feed(*opened.images, {0, arguments.size}, bar.callback()),
                             std::ref(*extractor), {&collector}, ranks);
  bar.finish();
  out.values = ranks.broadcast(ranks.rank() == 0 ? collector.features()
                                                 : at::empty({opened.size(), extractor->dim()}, at::kFloat));
  recipe::AlignOptions network;
  network.extractor = arguments.extractor;
  network.weights = arguments.extractor_weights;
  out.origin = {.made_from = arguments.extractor,
                .label_free = to_text(checkpoint::alignment_stage(network).label_free),
                .tapped = arguments.size > 0 ? cat("squares of ", arguments.size) : "images as stored",
                .images = data::fingerprint(opened)};
  out.labels = labels_of(opened);
  return out;
}

FeatureInput from_network(const FeatureArguments& arguments, Reducer& ranks) {
  const auto device = parse_device(arguments.device);
  const auto path = checkpoint::find_checkpoint(arguments.run, arguments.checkpoint);
  const auto trained = checkpoint::load_trained(path, device, arguments.weights);
  auto config = trained.info.config;
  auto& tap = config.cluster;
  tap.level = cluster::Level::kImage;
  tap.depth = arguments.depth.value_or(tap.depth);
  tap.teacher_time = arguments.time.value_or(tap.teacher_time);
  if (arguments.pooling) tap.pooling = *arguments.pooling;
  config.data = data_options(arguments.data, trained);
  const auto opened = data::open_data(config.data, arguments.data.empty() ? config.config_dir : "");
  const data::Dataset dataset(opened, config.data);

  FeatureInput out;
  out.clusters = tap.clusters;
  out.origin.made_from = trained.path;
  out.origin.provenance = checkpoint::provenance_of(trained.info);
  out.origin.label_free = to_text(out.origin.provenance.verdict());
  if (arguments.data.empty()) checkpoint::check_own_data(trained, opened);
  out.origin.images = data::fingerprint(opened);
  out.origin.tapped = conditions::tap_text(config, network::feature_depth(config, *trained.network.model));
  say(cat(trained.path, ": ", config.model.name, ", ", out.origin.tapped, "; ", opened.description));
  ProgressBar bar("features", "img/s");
  const auto all = rng::consecutive(0, dataset.size());
  const auto own = network::own_tap(config, *trained.network.model);
  out.values = network::extract_features(config, trained.network, dataset, all, {own}, device, bar.callback(),
                                         rng::Purpose::kTeacherNoise, ranks)
                   .front();
  out.labels = labels_of(opened);
  if (out.labels.defined()) out.labels = out.labels.index_select(0, at::tensor(dataset.shown(all)));
  return out;
}

}  // namespace

void declare_features(CLI::App& app, FeatureArguments& arguments, const std::string& what) {
  declare_source(app, arguments.run, arguments.checkpoint, what);
  app.add_option("--features", arguments.features,
                 "cluster these features instead: .safetensors or .pth (tensor `features`) or .npy, [N, F] in the data "
                 "set's order")
      ->type_name("FILE");
  app.add_option("--data", arguments.data, "data set; default: the run's own. With --features only its labels are read")
      ->type_name("PATH");
  declare(app, "--extractor", arguments.extractor, declared("eval.extractor"),
          "With --data: cluster the features that this outside network has of these images instead.");
  app.add_option("--extractor-weights", arguments.extractor_weights,
                 "its weights, where they are not in the default place")
      ->type_name("FILE")
      ->needs("--extractor");
  declare(
      app, "--size", arguments.size,
      own<int64_t>({.help = "with --extractor: cut images to squares of this side first, as training does; default: "
                            "as they are stored",
                    .min = 1}))
      ->needs("--extractor");
  const auto mirror = [&](const char* flag, auto& target, const std::string& path) {
    declare(app, flag, target, declared(path), cat("Default: the run's ", path, "."));
  };
  mirror("--depth", arguments.depth, "cluster.depth");
  mirror("--time", arguments.time, "cluster.teacher_time");
  mirror("--pooling", arguments.pooling, "cluster.pooling");
  declare_weights(app, arguments.weights);
  declare_device(app, arguments.device);
}

void check_features_alone(const CLI::App& app, const FeatureArguments& arguments) {
  if (arguments.features.empty()) return;
  refuse(app, {"--run", "--checkpoint", "--depth", "--time", "--pooling", "--weights", "--device"},
         "says how to look at images with a network; such options do not go with --features");
}

FeatureInput read_input(const FeatureArguments& arguments, Reducer& ranks) {
  if (!arguments.extractor.empty()) return from_extractor(arguments, ranks);
  return arguments.features.empty() ? from_network(arguments, ranks) : from_file(arguments);
}

}  // namespace sdg::cli
