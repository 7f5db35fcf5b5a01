#include <cmath>
#include <optional>

#include "cli/command.h"
#include "cli/declared.h"
#include "cli/sampling.h"
#include "cli/terminal.h"
#include "sdg/average/profile.h"
#include "sdg/checkpoint/average_snapshots.h"
#include "sdg/checkpoint/run_folder.h"
#include "sdg/core/error.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string run, checkpoint, out;
  std::optional<double> width;
  int64_t step = 0;
};

constexpr const char* kExamples =
    "  sdg train --set average.track=true --run runs/a  keeps two averages and snapshots of them\n"
    "  sdg average runs/a --width 0.12                  makes runs/a/averages/width-0.12.safetensors of them\n"
    "  sdg eval --checkpoint runs/a/averages/width-0.12.safetensors\n";

int execute(const Arguments& arguments) {
  SDG_CHECK_USAGE(arguments.width.has_value(), "--width: needed, as in --width 0.1");
  const auto path = checkpoint::find_checkpoint(arguments.run, arguments.checkpoint);
  const auto made = checkpoint::make_average(path, *arguments.width, arguments.step);
  const auto out = arguments.out.empty()
                       ? checkpoint::RunFolder::of_checkpoint(path).averages() /
                             cat("width-", *arguments.width,
                                 arguments.step > 0 ? cat("-step-", arguments.step) : std::string(), ".safetensors")
                       : std::filesystem::path(arguments.out);
  tensors::write_tensors(out, made.file);
  say(cat("wrote ", out.string(), ": width ", *arguments.width, " at step ", made.step, ", of ", made.snapshots,
          " snapshots; its profile is off by ", std::round(1e4 * made.error) / 100,
          " %; draw from it with: sdg sample --checkpoint ", out.string()));
  return 0;
}

}  // namespace

Command average_command() {
  return {"average", "Make an average of the weights of any width, of those a run kept (average.track).", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            declare_source(app, arguments->run, arguments->checkpoint, "average up to");
            declare(app, "--width", arguments->width,
                    own<double>({.help = "standard deviation of the average's profile over the steps done: 0.05 looks "
                                         "back over about a tenth of the training",
                                 .min = 0.001,
                                 .max = average::kWidest}));
            declare(app, "--step", arguments->step,
                    own<int64_t>({.help = "the average as it was after so many steps: a guide for autoguidance "
                                          "(--guide-checkpoint); default: those of the checkpoint",
                                  .min = 1}));
            app.add_option("--out", arguments->out,
                           "the checkpoint to write; default: averages/width-X.safetensors in the run's folder")
                ->type_name("FILE");
            return [arguments] { return execute(*arguments); };
          }};
}

}  // namespace sdg::cli
