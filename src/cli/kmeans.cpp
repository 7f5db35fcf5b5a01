#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/command.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/metrics/clustering.h"
#include "sdg/train/assign.h"
#include "sdg/train/audit.h"
#include "sdg/train/cluster_study.h"
#include "sdg/train/offline_kmeans.h"
#include "sdg/train/run_folder.h"
#include "sdg/train/same_data.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string run, checkpoint, features, data, pooling, out = "ids.safetensors", device = "auto", weights = "ema";
  std::optional<int64_t> depth, clusters;
  std::optional<double> time;
  train::OfflineKmeans how;
  int64_t seed = 0;
  bool json = false;
};

constexpr const char* kExamples =
    "  sdg kmeans --run runs/none --clusters 20 --out ids.safetensors      features of a run, one cluster an image\n"
    "  sdg train --set condition.source=file --set condition.file=ids.safetensors\n"
    "  sdg kmeans --checkpoint uvit.safetensors --data latents.safetensors --pooling mean --l2 --clusters 5000 "
    "--minibatch 8192 --start random\n"
    "  sdg kmeans --features dino.npy --clusters 100                       features that another program made\n";

struct Features {
  Tensor values;  // [N, F]
  train::PseudoLabelOrigin origin;
  int64_t clusters = 10;  // where --clusters does not say
  Tensor labels;          // for evaluation only; undefined where there are none
};

Tensor labels_of(const data::OpenedData& opened) {
  return opened.labels ? opened.labels->labels() : Tensor();
}

Features from_file(const Arguments& arguments) {
  SDG_CHECK_USAGE(!arguments.depth && !arguments.time && arguments.pooling.empty(),
                  "--depth, --time and --pooling say where to tap a network: they do not go with --features");
  Features out;
  out.values = train::read_features(arguments.features);
  out.origin = train::feature_origin(arguments.features);
  if (!arguments.data.empty()) {
    data::DataOptions options;
    options.path = arguments.data;
    const auto opened = data::open_data(options, "");
    const auto images = data::fingerprint(opened);
    SDG_CHECK_USAGE(opened.size() == out.values.size(0), arguments.features, ": holds ", out.values.size(0),
                    " rows for ", opened.size(), " images of ", arguments.data);
    train::check_made_for(out.origin.images, images, arguments.features, arguments.data);
    out.origin.images = images;
    out.labels = labels_of(opened);
  }
  return out;
}

Features from_network(const Arguments& arguments) {
  const auto device = parse_device(arguments.device);
  const auto path = train::find_checkpoint(arguments.run, arguments.checkpoint);
  const auto trained = train::load_trained(path, device, arguments.weights);
  auto config = trained.info.config;
  auto& tap = config.cluster;
  tap.level = "image";
  tap.depth = arguments.depth.value_or(tap.depth);
  tap.teacher_time = arguments.time.value_or(tap.teacher_time);
  if (!arguments.pooling.empty()) tap.pooling = arguments.pooling;
  SDG_CHECK_USAGE(tap.depth >= -1, "--depth: must be at least -1 (the middle), got ", tap.depth);
  SDG_CHECK_USAGE(tap.teacher_time >= 0 && tap.teacher_time <= 1, "--time: must be between 0 and 1, got ",
                  tap.teacher_time);
  config.data = data_options(arguments.data, trained);
  const auto opened = data::open_data(config.data, arguments.data.empty() ? config.config_dir : "");
  const data::Dataset dataset(opened, config.data);

  Features out;
  out.clusters = tap.clusters;
  out.origin.made_from = trained.path;
  out.origin.provenance = train::provenance_of(trained.info);
  out.origin.label_free = train::to_text(out.origin.provenance.verdict());
  if (arguments.data.empty()) train::check_own_data(trained, opened);
  out.origin.images = data::fingerprint(opened);
  out.origin.tapped = train::tap_text(config, train::feature_depth(config, *trained.network.model));
  say(cat(trained.path, ": ", config.model.name, ", ", out.origin.tapped, "; ", opened.description));
  ProgressBar bar("features", "img/s");
  out.values = train::extract_features(config, trained.network, dataset, rng::indices(0, dataset.size()), device,
                                       bar.callback());
  out.labels = labels_of(opened);
  return out;
}

void print(const Arguments& arguments, const train::PseudoLabels& labels, const train::ClusterSizes& sizes,
           const Features& features, double seconds) {
  const auto used = labels.clusters - static_cast<int64_t>(sizes.dead.size());
  nlohmann::ordered_json row{
      {"out", arguments.out},
      {"images", labels.ids.size(0)},
      {"features", features.values.size(1)},
      {"clusters", labels.clusters},
      {"used", used},
      {"inertia", labels.inertia},
      {"entropy", sizes.entropy},
      {"iterations", labels.iterations},
      {"seconds", seconds},
      {"made_from", features.origin.made_from},
      {"label_free", features.origin.label_free.empty() ? "unknown" : features.origin.label_free}};
  std::optional<metrics::ClusterScores> scores;
  if (features.labels.defined()) {
    scores = metrics::cluster_scores(features.labels, labels.ids);
    row.update({{"nmi", scores->nmi}, {"ami", scores->ami}, {"ari", scores->ari}, {"accuracy", scores->accuracy}});
  }
  if (arguments.json) {
    std::printf("%s\n", row.dump().c_str());
    return;
  }
  std::printf("%lld of %lld clusters hold images (%lld images, %lld features each)\n", static_cast<long long>(used),
              static_cast<long long>(labels.clusters), static_cast<long long>(labels.ids.size(0)),
              static_cast<long long>(features.values.size(1)));
  std::printf("inertia %.6g  entropy of the sizes %.3f of the possible  %lld iterations  %.1f s\n", labels.inertia,
              sizes.entropy, static_cast<long long>(labels.iterations), seconds);
  if (scores)
    std::printf("against the labels: NMI %.4f  AMI %.4f  ARI %.4f  accuracy %.4f\n", scores->nmi, scores->ami,
                scores->ari, scores->accuracy);
}

int execute(const Arguments& arguments) {
  SDG_CHECK_USAGE(fs::path(arguments.out).extension() == ".safetensors",
                  "--out: the name must end in .safetensors, got ", arguments.out);
  const auto features = arguments.features.empty() ? from_network(arguments) : from_file(arguments);
  auto how = arguments.how;
  how.kmeans.clusters = arguments.clusters.value_or(features.clusters);
  how.kmeans.seed = static_cast<uint64_t>(arguments.seed);
  SDG_CHECK_USAGE(how.kmeans.clusters <= features.values.size(0), "--clusters: ", how.kmeans.clusters, " clusters of ",
                  features.values.size(0), " images");
  const auto start = std::chrono::steady_clock::now();
  ProgressBar bar("k-means", how.kmeans.minibatch > 0 ? "passes/s" : "iterations/s");
  const auto labels = train::cluster_features(features.values, how, bar.callback());
  bar.finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  io::write_tensors(arguments.out, train::pseudo_label_file(labels, features.origin));
  print(arguments, labels, train::cluster_sizes(labels.ids, labels.clusters), features, seconds);
  say(cat("wrote ", arguments.out,
          ": train on it with --set condition.source=file --set condition.file=", arguments.out));
  return 0;
}

void declare_source(CLI::App& app, Arguments& arguments) {
  auto* run = app.add_option("run,--run", arguments.run, "the run; default: the newest under runs/")->type_name("DIR");
  auto* checkpoint =
      app.add_option("--checkpoint", arguments.checkpoint, "this checkpoint instead (of `sdg convert`, too)")
          ->type_name("FILE");
  app.add_option(
         "--features", arguments.features,
         "cluster these features instead: .safetensors (tensor `features`) or .npy, [N, F] in the data set's order")
      ->type_name("FILE")
      ->excludes(run)
      ->excludes(checkpoint);
  app.add_option("--data", arguments.data, "data set; default: the run's own. With --features only its labels are read")
      ->type_name("PATH");
  app.add_option("--depth", arguments.depth, "block after which features are read, -1 the middle; default: the run's")
      ->type_name("N");
  app.add_option("--time", arguments.time, "time at which the network sees an image (1 is clean); default: the run's")
      ->type_name("T");
  app.add_option("--pooling", arguments.pooling, "flat, mean or cls; default: the run's")
      ->check(CLI::IsMember({"flat", "mean", "cls"}));
  app.add_option("--weights", arguments.weights, "ema (the average) or model (the raw weights)")
      ->check(CLI::IsMember({"ema", "model"}));
  app.add_option("--device", arguments.device, "auto, cpu, cuda or cuda:N")->type_name("NAME");
}

void declare_clustering(CLI::App& app, Arguments& arguments) {
  auto& kmeans = arguments.how.kmeans;
  app.add_option("--clusters", arguments.clusters, "K; default: the run's (10 with --features)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  app.add_option("--start", kmeans.start, "plusplus (greedy k-means++) or random (K images; faster for large K)")
      ->check(CLI::IsMember({"plusplus", "random"}));
  app.add_option("--restarts", kmeans.restarts, "independent starts; the one of lowest inertia is kept")
      ->check(CLI::Range(1, 10000));
  app.add_option("--iterations", kmeans.iterations, "at most, of each start (passes over the data with --minibatch)")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--minibatch", kmeans.minibatch,
                 "0: all images in every iteration; else mini-batches of this many, for large data sets")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30));
  app.add_option("--seed", arguments.seed, "the clusters are a function of the features, these options and this")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 62));
  app.add_flag("--standardize,!--no-standardize", arguments.how.standardize,
               "every feature to mean 0 and variance 1 first (on by default)");
  app.add_flag("--l2", arguments.how.l2, "then every image's features to length 1; the paper: --no-standardize --l2");
}

}  // namespace

Command kmeans_command() {
  return {"kmeans", "Offline clusters: k-means on features of a finished network, to train another one on.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_source(app, *arguments);
            declare_clustering(app, *arguments);
            app.add_option("--out", arguments->out, "file to write; condition.source file takes it")->type_name("FILE");
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
