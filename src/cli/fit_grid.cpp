#include <cstdio>

#include "cli/command.h"
#include "cli/sampling.h"
#include "sdg/core/device.h"

namespace sdg::cli {
namespace {

constexpr const char* kExamples =
    "  sdg fit-grid --steps 10 --guidance 1.5           prints 0,0.03,...,1\n"
    "  sdg sample --grid list --times \"$(sdg fit-grid --steps 10)\"\n"
    "  in a config, for good: sample: {grid: list, times: \"0,0.03,...,1\"}\n";

int execute(const SamplingArguments& arguments) {
  const auto device = parse_device(arguments.device);
  const auto trained = load(arguments, device);
  auto request = request_of(arguments, trained, trained.info.config.sample.count, device);
  request.sample.grid = sample::Grid::kFitted;
  const auto times = generate::walk_times(trained.info.config, trained.network, trained.prior, device, request);
  for (size_t i = 0; i < times.size(); ++i) std::printf("%s%.6g", i ? "," : "", times[i]);
  std::printf("\n");
  return 0;
}

}  // namespace

Command fit_grid_command() {
  return {"fit-grid", "Find the times at which few steps lose least: where the velocity of a network bends most.",
          kExamples, [](CLI::App& app) {
            auto arguments = std::make_shared<SamplingArguments>();
            declare_sampling(app, *arguments, "sample.count");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
