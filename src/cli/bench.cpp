#include "sdg/bench/bench.h"

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/terminal.h"
#include "sdg/bench/cluster_bench.h"
#include "sdg/core/device.h"
#include "sdg/core/parallel.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string config;
  std::vector<std::string> set;
  int64_t rounds = 20;
  std::string load;
  bool steps = false, sinkhorn = false, early_exit = false;
  int64_t images = 4;
};

constexpr const char* kExamples =
    "  sdg bench                                        the shipped digits configuration\n"
    "  sdg bench --config cifar10.yaml --rounds 5\n"
    "  sdg bench --sinkhorn --rounds 3                  what clustering costs at the paper's size (imagenet256.yaml)\n"
    "  sdg bench --early-exit                           what stopping the teacher early saves "
    "(digits.yaml,paper.yaml)\n"
    "  tools/bench.sh                                   the same beside a plain PyTorch step\n";

int report_load(const std::string& checkpoint) {
  const auto report = bench::bench_load(checkpoint);
  const auto gigabytes = [](int64_t bytes) { return static_cast<double>(bytes) * 1e-9; };
  std::printf("loaded in %.2f s, first forward pass %.2f s; file %.3f GB, peak memory %.3f GB = %.2f of the file\n",
              report.load_seconds, report.forward_seconds, gigabytes(report.file_bytes), gigabytes(report.peak_bytes),
              static_cast<double>(report.peak_bytes) / static_cast<double>(report.file_bytes));
  return 0;
}

recipe::RunConfig config_of(const Arguments& arguments, const char* otherwise) {
  return recipe::load_config(arguments.config.empty() ? otherwise : arguments.config, arguments.set);
}

void print_rows(const std::vector<bench::ClusterBenchRow>& rows) {
  std::printf("| what | ms | share of a step |\n| --- | ---: | ---: |\n");
  for (const auto& row : rows)
    std::printf("| %s | %.2f | %.3g %% |\n", row.what.c_str(), row.milliseconds, 100 * row.share);
}

int report_sinkhorn(const Arguments& arguments) {
  const auto config = config_of(arguments, "imagenet256.yaml");
  ProgressBar bar("rounds", "round/s");
  const auto report = bench::bench_sinkhorn(config, arguments.images, arguments.rounds, bar.callback());
  bar.finish();
  const auto number = [](int64_t value) { return static_cast<long long>(value); };
  std::printf("%s, B %lld, K %lld, features %lld, D %lld, %d threads\n\n", config.model.name.c_str(),
              number(report.batch), number(report.clusters), number(report.features), number(report.dim),
              worker_pool().threads());
  print_rows(report.rows);
  std::printf(
      "\nThe flow loss was measured on %lld images and scaled; optimizer, average and teacher are left out of the "
      "step, so the shares are upper bounds; of a run whose queue holds rows (cluster.queue) Sinkhorn sees those too, "
      "in proportion.\n",
      number(report.images));
  return 0;
}

int report_early_exit(const Arguments& arguments) {
  const auto config = config_of(arguments, "digits.yaml,paper.yaml");
  ProgressBar bar("rounds", "round/s");
  const auto report = bench::bench_early_exit(config, arguments.rounds, bar.callback());
  bar.finish();
  std::printf("%s, batch %lld, views %s, pooling %s, depth %lld, %d threads\n\n", config.model.name.c_str(),
              static_cast<long long>(config.train.batch), std::string(config::name(config.cluster.views)).c_str(),
              std::string(config::name(config.cluster.pooling)).c_str(), static_cast<long long>(config.cluster.depth),
              worker_pool().threads());
  print_rows(report.rows);
  std::printf("\nthe early exit saves %.1f %% of a step; clusters, assignments and gradients of all steps: %s\n",
              100 * report.saved, report.identical ? "the same bit for bit" : "DIFFERENT");
  return report.identical ? 0 : 1;
}

int execute(const Arguments& arguments) {
  if (!arguments.load.empty()) return report_load(arguments.load);
  if (arguments.sinkhorn) return report_sinkhorn(arguments);
  if (arguments.early_exit) return report_early_exit(arguments);
  const auto config = config_of(arguments, "digits.yaml");
  const auto report = bench::bench(config, arguments.rounds, arguments.steps);
  std::printf("%s, batch %lld, %d threads (%s); matrix-product peak %.1f GFLOP/s float32\n\n",
              config.model.name.c_str(), static_cast<long long>(config.train.batch), report.threads,
              cpu_features().c_str(), report.peak_gflops);
  std::printf("| what | ms | images/s | GFLOP/s | share of peak |\n| --- | ---: | ---: | ---: | ---: |\n");
  for (const auto& row : report.rows) {
    std::printf("| %s | %.2f | %.0f | %.1f | %.0f %% |\n", row.what.c_str(), row.milliseconds, row.images_per_second,
                row.gflops, 100 * row.gflops / report.peak_gflops);
  }
  return 0;
}

}  // namespace

Command bench_command() {
  return {
      "bench", "How fast a configuration trains and samples here, against the machine's peak.", kExamples,
      [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        app.add_option("--config", arguments->config,
                       "config file, or the name of a shipped one; default: digits.yaml, or what the study is about")
            ->type_name("FILE|NAME");
        declare(app, "--rounds", arguments->rounds,
                own<int64_t>({.help = "rounds; medians are printed; default 20", .min = 1, .max = 10000}));
        app.add_option("--load", arguments->load, "measure only how long this checkpoint takes to load")
            ->type_name("FILE");
        auto* steps = app.add_flag("--steps", arguments->steps,
                                   "measure only the training steps: the sampler and the eager step of a large network "
                                   "take most of the time");
        auto* sinkhorn = app.add_flag("--sinkhorn", arguments->sinkhorn,
                                      "measure only what clustering costs beside the flow loss of a step, at "
                                      "train.batch and cluster.clusters of the configuration");
        declare(app, "--images", arguments->images,
                own<int64_t>({.help = "with --sinkhorn: images on which the flow loss is measured; its time is scaled "
                                      "to the batch; default 4",
                              .min = 1,
                              .max = 100000}));
        app.add_flag("--early-exit", arguments->early_exit,
                     "measure only what stopping the teacher after the tapped block saves, and check that nothing "
                     "else changes")
            ->excludes(sinkhorn)
            ->excludes(steps);
        sinkhorn->excludes(steps);
        app.add_option("--set", arguments->set, "override one option (repeatable)")
            ->type_name("KEY=VALUE")
            ->expected(1)
            ->take_all();
        return [arguments, &app] {
          if (!arguments->load.empty())
            refuse(app, {"--config", "--rounds", "--sinkhorn", "--images", "--early-exit", "--set"},
                   "--load only loads a checkpoint");
          if (!arguments->sinkhorn) refuse(app, {"--images"}, "goes with --sinkhorn");
          return execute(*arguments);
        };
      }};
}

}  // namespace sdg::cli
