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
};

constexpr const char* kExamples =
    "  sdg bench                                        the shipped digits configuration\n"
    "  sdg bench --config cifar10.yaml --rounds 5\n"
    "  tools/bench.sh                                   the same beside a plain PyTorch step\n";

int execute(const Arguments& arguments) {
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
            app.add_option("--set", arguments->set, "override one option (repeatable)")
                ->type_name("KEY=VALUE")
                ->expected(1)
                ->take_all();
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
