#include <cstdio>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/joined_ranks.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/conditions/offline_kmeans.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/io/file_kind.h"
#include "sdg/metrics/clustering.h"
#include "sdg/network/features.h"
#include "sdg/study/cluster_study.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::optional<cluster::Pooling> pooling;
  std::string run, checkpoint, features, data, out = "ids.safetensors", device = "auto";
  checkpoint::Weights weights = checkpoint::Weights::kEma;
  std::optional<int64_t> depth, clusters;
  std::optional<double> time;
  conditions::OfflineKmeans how;
  int64_t seed = 0;
  bool json = false;
  RankArguments ranks;
};

constexpr const char* kExamples =
    "  sdg kmeans --run runs/none --clusters 20 --out ids.safetensors      features of a run, one cluster an image\n"
    "  sdg train --set condition.source=file --set condition.file=ids.safetensors\n"
    "  sdg kmeans --checkpoint uvit.safetensors --data latents.safetensors --pooling mean --l2 --clusters 5000 "
    "--minibatch 8192 --start random\n"
    "  sdg kmeans --features dino.npy --clusters 100                       features that another program made\n";

struct Features {
  Tensor values;  // [N, F]
  conditions::PseudoLabelOrigin origin;
  int64_t clusters = 10;  // where --clusters does not say
  Tensor labels;          // for evaluation only; undefined where there are none
};

Tensor labels_of(const data::OpenedData& opened) {
  return opened.labels ? opened.labels->labels() : Tensor();
}

// The images that rows of features are of, where `sdg features --store` wrote which; undefined elsewhere.
Tensor rows_of(const fs::path& features, int64_t count) {
  if (io::lower_suffix(features) == ".npy") return {};
  const auto file = tensors::read_tensors(features);
  const auto found = file.tensors.find("indices");
  const bool fits = found != file.tensors.end() && found->second.scalar_type() == at::kLong &&
                    found->second.dim() == 1 && found->second.size(0) == count &&
                    found->second.min().item<int64_t>() >= 0;
  return fits ? found->second : Tensor();
}

Features from_file(const Arguments& arguments) {
  Features out;
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

Features from_network(const Arguments& arguments, Reducer& ranks) {
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

  Features out;
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

void print(const Arguments& arguments, const conditions::PseudoLabels& labels, const study::ClusterSizes& sizes,
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
    std::printf("%s\n", io::json_text(row).c_str());
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
  auto& ranks = join_ranks(arguments.ranks, arguments.device);
  const auto features = arguments.features.empty() ? from_network(arguments, ranks) : from_file(arguments);
  auto how = arguments.how;
  how.kmeans.clusters = arguments.clusters.value_or(features.clusters);
  how.kmeans.seed = static_cast<uint64_t>(arguments.seed);
  SDG_CHECK_USAGE(how.kmeans.clusters <= features.values.size(0), "--clusters: ", how.kmeans.clusters, " clusters of ",
                  features.values.size(0), " images");
  const auto start = std::chrono::steady_clock::now();
  ProgressBar bar("k-means", how.kmeans.minibatch > 0 ? "passes/s" : "iterations/s");
  const auto labels = conditions::cluster_features(features.values, how, bar.callback(), ranks);
  bar.finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const bool first = ranks.rank() == 0;
  leave_ranks();
  if (!first) return 0;
  tensors::write_tensors(arguments.out, conditions::pseudo_label_file(labels, features.origin));
  print(arguments, labels, study::cluster_sizes(labels.ids, labels.clusters), features, seconds);
  say(cat("wrote ", arguments.out,
          ": train on it with --set condition.source=file --set condition.file=", arguments.out));
  return 0;
}

void declare_features(CLI::App& app, Arguments& arguments) {
  declare_source(app, arguments.run, arguments.checkpoint, "cluster features of");
  app.add_option(
         "--features", arguments.features,
         "cluster these features instead: .safetensors (tensor `features`) or .npy, [N, F] in the data set's order")
      ->type_name("FILE");
  app.add_option("--data", arguments.data, "data set; default: the run's own. With --features only its labels are read")
      ->type_name("PATH");
  const auto mirror = [&](const char* flag, auto& target, const std::string& path) {
    declare(app, flag, target, declared(path), cat("Default: the run's ", path, "."));
  };
  mirror("--depth", arguments.depth, "cluster.depth");
  mirror("--time", arguments.time, "cluster.teacher_time");
  mirror("--pooling", arguments.pooling, "cluster.pooling");
  declare_weights(app, arguments.weights);
  declare_device(app, arguments.device);
}

void declare_clustering(CLI::App& app, Arguments& arguments) {
  auto& kmeans = arguments.how.kmeans;
  const auto number = [&](const char* flag, auto& target, config::Doc doc) {
    declare(app, flag, target, own<int64_t>(std::move(doc)));
  };
  declare(app, "--clusters", arguments.clusters, declared("cluster.clusters"),
          "Default: the run's cluster.clusters (10 with --features).");
  declare(app, "--start", kmeans.start,
          own<cluster::KmeansStart>({.help = "plusplus (greedy k-means++) or random (K images; faster for large K)"}));
  number("--restarts", kmeans.restarts,
         {.help = cat("independent starts; the one of lowest inertia is kept; default ", kmeans.restarts),
          .min = 1,
          .max = 10000});
  number("--iterations", kmeans.iterations,
         {.help = cat("at most, of each start (passes over the data with --minibatch); default ", kmeans.iterations),
          .min = 1,
          .max = 1000000});
  number("--minibatch", kmeans.minibatch,
         {.help = "0: all images in every iteration; else mini-batches of this many, for large data sets",
          .min = 0,
          .max = 1 << 30});
  number("--seed", arguments.seed,
         {.help = "the clusters are a function of the features, these options and this; default 0",
          .min = declared("seed").doc.min,
          .max = declared("seed").doc.max});
  app.add_flag("--standardize,!--no-standardize", arguments.how.standardize,
               "every feature to mean 0 and variance 1 first (on by default)");
  app.add_flag("--l2", arguments.how.l2, "then every image's features to length 1; the paper: --no-standardize --l2");
}

}  // namespace

Command kmeans_command() {
  return {"kmeans", "Offline clusters: k-means on features of a finished network, to train another one on.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_features(app, *arguments);
            declare_clustering(app, *arguments);
            declare_ranks(app, arguments->ranks);
            app.add_option("--out", arguments->out, "file to write; condition.source file takes it")->type_name("FILE");
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments, &app] {
              if (!arguments->features.empty())
                refuse(app, {"--run", "--checkpoint", "--depth", "--time", "--pooling", "--weights", "--device"},
                       "says how to look at images with a network; such options do not go with --features");
              return execute(*arguments);
            };
          }};
}

}  // namespace sdg::cli
