#include "sdg/train/bench.h"

#include <cstdio>
#include <memory>

#include "cli/command.h"
#include "sdg/core/device.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string config = "digits.yaml";
  std::vector<std::string> set;
  int64_t rounds = 20;
  std::string load;
};

constexpr const char* kExamples =
    "  sdg bench                                        the shipped digits configuration\n"
    "  sdg bench --config cifar10.yaml --rounds 5\n"
    "  tools/bench.sh                                   the same beside a plain PyTorch step\n";

int report_load(const std::string& checkpoint) {
  const auto report = train::bench_load(checkpoint);
  const auto gigabytes = [](int64_t bytes) { return static_cast<double>(bytes) * 1e-9; };
  std::printf("loaded in %.2f s, first forward pass %.2f s; file %.3f GB, peak memory %.3f GB = %.2f of the file\n",
              report.load_seconds, report.forward_seconds, gigabytes(report.file_bytes), gigabytes(report.peak_bytes),
              static_cast<double>(report.peak_bytes) / static_cast<double>(report.file_bytes));
  return 0;
}

int execute(const Arguments& arguments) {
  if (!arguments.load.empty()) return report_load(arguments.load);
  const auto config = train::load_config(arguments.config, arguments.set);
  const auto report = train::bench(config, arguments.rounds);
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
  return {"bench", "How fast a configuration trains and samples here, against the machine's peak.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            app.add_option("--config", arguments->config, "config file, or the name of a shipped one")
                ->type_name("FILE|NAME");
            app.add_option("--rounds", arguments->rounds, "rounds; medians are printed")->check(CLI::Range(1, 10000));
            app.add_option("--load", arguments->load, "measure only how long this checkpoint takes to load")
                ->type_name("FILE");
            app.add_option("--set", arguments->set, "override one option (repeatable)")
                ->type_name("KEY=VALUE")
                ->expected(1)
                ->take_all();
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
