#include <cstdio>
#include <optional>

#include "cli/cluster_table.h"
#include "cli/command.h"
#include "cli/declared.h"
#include "cli/joined_ranks.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "io/json_impl.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/conditions/condition_source.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/evaluate/evaluate.h"
#include "sdg/network/assign.h"
#include "sdg/recipe/source.h"
#include "sdg/study/cluster_study.h"

namespace sdg::cli {
namespace {

struct Arguments {
  SamplingArguments source;
  std::optional<int64_t> count;
  bool json = false;
  RankArguments ranks;
  std::vector<std::string> files;
  std::string labels;
};

constexpr const char* kExamples =
    "  sdg eval-clusters --run runs/digits              NMI, AMI, ARI and accuracy of the run's clusters against the "
    "labels\n"
    "  sdg eval-clusters --files kmeans.safetensors cludi.safetensors --labels features.safetensors    a row a file\n";

// Clusters of source online are what the head says now, those of other sources are stored.
evaluate::ClusterReport report_of(const checkpoint::Trained& trained, const data::OpenedData& opened,
                                  const data::Dataset& dataset, const std::optional<int64_t>& count,
                                  const at::Device& device, ProgressBar& bar, Reducer& ranks) {
  const auto& config = trained.info.config;
  if (recipe::facts_of(config).online) {
    return evaluate::evaluate_clusters(config, trained.network, dataset, {opened.labels.get(), opened.masks.get()},
                                       device, bar.callback(), ranks);
  }
  SDG_CHECK_USAGE(!recipe::facts_of(config).labels, trained.path,
                  ": condition.source is label, there are no clusters to score");
  evaluate::ClusterReport report;
  report.indices = network::evaluation_subset(dataset, count.value_or(dataset.size()), 0);
  report.assignments = conditions::condition_ids(trained, opened, dataset, report.indices, device);
  report.images = report.assignments.numel();
  report.used = std::get<0>(at::_unique(report.assignments)).numel();
  if (opened.labels) {
    report.scores = metrics::cluster_agreement(opened.labels->labels().index_select(0, at::tensor(report.indices)),
                                               report.assignments);
    report.scored = true;
  }
  return report;
}

int execute(const Arguments& arguments) {
  auto& ranks = join_ranks(arguments.ranks, arguments.source.device);
  const auto device = parse_device(arguments.source.device);
  auto trained = load(arguments.source, device);
  if (arguments.count) trained.info.config.eval.cluster_images = *arguments.count;
  const auto& config = trained.info.config;
  SDG_CHECK_USAGE(!trained.info.converted, trained.path, ": a converted checkpoint knows no data set to score");
  const auto opened = data::open_data(config.data, "");
  checkpoint::check_own_data(trained, opened);
  const data::Dataset dataset(opened, config.data);
  ProgressBar bar("clusters", "img/s");
  const auto report = report_of(trained, opened, dataset, arguments.count, device, bar, ranks);
  bar.finish();
  const bool first = ranks.rank() == 0;
  leave_ranks();
  if (!first) return 0;
  const auto& scores = report.scores;
  const auto clusters = conditions::cluster_count(trained, report.assignments);
  if (arguments.json) {
    nlohmann::ordered_json out{{"checkpoint", trained.path},
                               {"step", trained.info.step},
                               {"images", report.images},
                               {"clusters", clusters},
                               {"used", report.used}};
    if (report.scored)
      out.update({{"nmi", scores.nmi},
                  {"ami", scores.ami},
                  {"ari", scores.ari},
                  {"accuracy", scores.accuracy},
                  {"homogeneity", scores.homogeneity},
                  {"completeness", scores.completeness},
                  {"purity", scores.purity}});
    if (const auto& cut = report.segmentation)
      out.update({{"miou", cut->miou},
                  {"pixel_accuracy", cut->accuracy},
                  {"miou_majority", cut->miou_majority},
                  {"pixel_accuracy_majority", cut->accuracy_majority},
                  {"pixels", cut->pixels}});
    std::printf("%s\n", io::json_text(out).c_str());
    return 0;
  }
  std::printf("%lld of %lld clusters hold images (%lld images)\n", static_cast<long long>(report.used),
              static_cast<long long>(clusters), static_cast<long long>(report.images));
  if (report.scored) {
    std::printf(
        "against the labels: NMI %.4f  AMI %.4f  ARI %.4f  accuracy %.4f\n"
        "                    homogeneity %.4f  completeness %.4f  purity %.4f\n",
        scores.nmi, scores.ami, scores.ari, scores.accuracy, scores.homogeneity, scores.completeness, scores.purity);
  } else if (const auto& cut = report.segmentation) {
    std::printf(
        "against the masks (%lld pixels): mIoU %.4f, pixel accuracy %.4f, clusters matched to classes one to one\n"
        "each cluster as the class it overlaps most: mIoU %.4f, pixel accuracy %.4f\n",
        static_cast<long long>(cut->pixels), cut->miou, cut->accuracy, cut->miou_majority, cut->accuracy_majority);
  } else if (network::patch_level(config)) {
    std::printf("%s has no masks to score the clusters of patches against\n", opened.description.c_str());
  } else {
    std::printf("%s has no labels to score against\n", opened.description.c_str());
  }
  return 0;
}

}  // namespace

Command eval_clusters_command() {
  return {"eval-clusters", "Agreement of a run's clusters with labels or masks that it never saw.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_source(app, arguments->source.run, arguments->source.checkpoint, "score");
            declare(app, "--count", arguments->count, declared("eval.cluster_images"),
                    "Default: the run's eval.cluster_images, or all images where the assignment is stored.");
            declare_device(app, arguments->source.device);
            declare_ranks(app, arguments->ranks);
            app.add_flag("--json", arguments->json, "print one JSON object on standard output and nothing else there");
            app.add_option("--files", arguments->files,
                           "instead of a run, files of clusters as sdg cluster and sdg kmeans write them: a row each")
                ->type_name("FILE");
            app.add_option("--labels", arguments->labels,
                           "with --files: the true labels, a tensor `labels` of a .safetensors file, or one whole "
                           "number a row as condition.source file takes them")
                ->type_name("FILE");
            return [arguments, &app] {
              SDG_CHECK_USAGE(arguments->files.empty() == arguments->labels.empty(),
                              "--files and --labels: one says nothing without the other");
              if (arguments->files.empty()) return execute(*arguments);
              refuse(app, {"--run", "--checkpoint", "--count", "--device"},
                     "says how to look at a run, and --files needs none");
              return tabulate_clusters(arguments->files, arguments->labels, arguments->json);
            };
          }};
}

}  // namespace sdg::cli
