#include <unistd.h>

#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "sdg/core/error.h"
#include "sdg/ranks/launcher.h"
#include "sdg/ranks/ranks.h"

namespace sdg::cli {
namespace {

struct Arguments {
  int64_t ranks = 0, restarts = 0;
  double grace = std::chrono::duration<double>(ranks::kGrace).count();
};

constexpr const char* kExamples =
    "  sdg launch -n 2 train                               two processes on one machine, each with half of every "
    "batch\n"
    "  sdg launch -n 8 train --config imagenet256.yaml     one a GPU\n"
    "  sdg launch -n 8 --restarts 3 train --run runs/a     go on from the last checkpoint where a process is lost\n"
    "On several machines start the same command with torchrun or srun; torchrun takes options of sdg for its own "
    "(--run "
    "for its --run-path) unless -- stands before sdg:\n"
    "  torchrun --no-python --nnodes 2 --nproc-per-node 8 --rdzv-endpoint node0:29500 -- sdg train --run runs/a\n"
    "  srun --nodes 2 --ntasks-per-node 8 sdg train --run runs/a\n";

int execute(const Arguments& arguments, std::vector<std::string> words) {
  SDG_CHECK_USAGE(!words.empty(), "launch: no command to start; as in: sdg launch -n 2 train");
  SDG_CHECK_USAGE(words.front() != "launch",
                  "launch: starts another command than itself; as in: sdg launch -n 2 train");
  SDG_CHECK(arguments.ranks == 1 || ranks::can_connect(),
            "this build cannot connect ranks: install Gloo's headers (Debian: libgloo-dev) and build again");
  words.insert(words.begin(), std::filesystem::read_symlink("/proc/self/exe").string());
  ranks::LaunchOptions options;
  options.ranks = arguments.ranks;
  options.command = words;
  options.grace = std::chrono::milliseconds(static_cast<int64_t>(arguments.grace * 1000));
  options.signal = [] { return caught_signal(); };
  catch_signals();  // they are the ranks' to act on
  constexpr int kUsage = 2;
  while (true) {
    const auto end = ranks::launch(options);
    if (end.code == 0) return 0;
    if (end.signal) say(cat("rank ", end.rank, " of ", options.ranks, " was ended by signal ", end.signal));
    // Who was asked to stop, or cannot be understood, is not started again.
    if (caught_signal() || end.code == kUsage || options.attempt == arguments.restarts) return end.code;
    ++options.attempt;
    say(cat("all ranks are started anew, restart ", options.attempt, " of ", arguments.restarts));
  }
}

}  // namespace

Command launch_command() {
  return {"launch", "Start a command as several processes of this machine that work together.", kExamples,
          [](CLI::App& app) {
            auto arguments = std::make_shared<Arguments>();
            app.add_option("-n,--ranks", arguments->ranks, "processes; give one to each GPU, or some cores to each")
                ->type_name("N")
                ->required()
                ->check(CLI::Range(int64_t{1}, int64_t{1024}));
            app.add_option("--restarts", arguments->restarts,
                           "how often all are started anew where one fails; training goes on from the last checkpoint")
                ->type_name("N")
                ->check(CLI::NonNegativeNumber);
            app.add_option("--grace", arguments->grace,
                           cat("seconds in which the others may end by themselves once one has failed; default ",
                               arguments->grace))
                ->type_name("S")
                ->check(CLI::Range(0.0, 86400.0));
            app.prefix_command();
            return [arguments, &app] { return execute(*arguments, app.remaining()); };
          }};
}

}  // namespace sdg::cli
