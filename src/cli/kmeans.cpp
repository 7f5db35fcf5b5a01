#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/feature_input.h"
#include "cli/joined_ranks.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/core/error.h"
#include "sdg/metrics/clustering.h"
#include "sdg/study/cluster_study.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::cli {
namespace {

struct Arguments {
  FeatureArguments source;
  std::string out = "ids.safetensors";
  std::optional<int64_t> clusters;
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
    "  sdg kmeans --features dino.npy --clusters 100                       features that another program made\n"
    "  sdg kmeans --extractor dino-vitb16 --data photos.tar --clusters 5000 --keep-features --neighbours 20   an "
    "outside "
    "network's, with all that condition.told can tell\n";

void print(const Arguments& arguments, const conditions::PseudoLabels& labels, const study::ClusterSizes& sizes,
           const FeatureInput& features, double seconds) {
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
  auto& ranks = join_ranks(arguments.ranks, arguments.source.device);
  const auto features = read_input(arguments.source, ranks);
  auto how = arguments.how;
  how.kmeans.clusters = arguments.clusters.value_or(features.clusters);
  how.kmeans.seed = static_cast<uint64_t>(arguments.seed);
  SDG_CHECK_USAGE(how.kmeans.clusters <= features.values.size(0), "--clusters: ", how.kmeans.clusters, " clusters of ",
                  features.values.size(0), " images");
  SDG_CHECK_USAGE(how.neighbours < features.values.size(0), "--neighbours: ", how.neighbours, " neighbours among ",
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
  app.add_flag("--keep-features", arguments.how.keep_features,
               "write the features as they were clustered too, for condition.told feat and knn_feat");
  number("--neighbours", arguments.how.neighbours,
         {.help = "write the numbers of each image's nearest others too, this many, for condition.told knn_feat; all "
                  "pairs are compared, so the time grows with the square of the images",
          .min = 1,
          .max = 100000});
  app.add_flag("--l2", arguments.how.l2, "then every image's features to length 1; the paper: --no-standardize --l2");
}

}  // namespace

Command kmeans_command() {
  return {"kmeans", "Offline clusters: k-means on features of a finished network, to train another one on.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_features(app, arguments->source, "cluster features of");
            declare_clustering(app, *arguments);
            declare_ranks(app, arguments->ranks);
            app.add_option("--out", arguments->out, "file to write; condition.source file takes it")
                ->type_name("FILE.safetensors");
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            return [arguments, &app] {
              check_features_alone(app, arguments->source);
              return execute(*arguments);
            };
          }};
}

}  // namespace sdg::cli
