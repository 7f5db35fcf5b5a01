#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "cli/command.h"
#include "cli/joined_ranks.h"
#include "cli/log_file.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "sdg/conditions/told.h"
#include "sdg/config/fields.h"
#include "sdg/config/write.h"
#include "sdg/core/device.h"
#include "sdg/core/error.h"
#include "sdg/network/cost.h"
#include "sdg/run/trainer.h"

namespace sdg::cli {
namespace {

struct Arguments {
  std::string config, run;
  std::vector<std::string> set;
  std::vector<std::string> resume;
  bool dry_run = false;
  network::Machine machine;
  RankArguments ranks;
};

constexpr const char* kExamples =
    "  sdg train                                        the shipped digits, in a few minutes\n"
    "  sdg train --config cifar10.yaml --run runs/c10   a shipped config, in a folder of your choice\n"
    "  sdg train --config cifar10.yaml --run runs/c10   the same again goes on where it stopped\n"
    "  sdg train --resume runs/c10                      so does this, from the run's own config\n"
    "  sdg train --config digits.yaml,paper.yaml        the same data, the method exactly as in the paper\n"
    "  sdg train --config imagenet256.yaml --dry-run    what it would do, and what that takes\n"
    "  sdg train --set condition.source=label --set train.steps=4000\n"
    "  sdg launch -n 8 train --config imagenet256.yaml  one process a GPU; on several machines torchrun or srun:\n"
    "  torchrun --no-python --nproc-per-node 8 -- sdg train --config imagenet256.yaml   (mind the -- before sdg)\n"
    "  srun --ntasks-per-node 8 sdg train --config imagenet256.yaml\n";

// `--resume` alone takes the folder of --run; given both, they must be one.
void check_one_run(const Arguments& arguments) {
  if (arguments.run.empty() || arguments.resume.empty() || arguments.resume.front().empty()) return;
  const auto whole = [](const std::string& folder) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(folder) / "").lexically_normal();
  };
  SDG_CHECK_USAGE(whole(arguments.run) == whole(arguments.resume.front()), "--run ", arguments.run, " and --resume ",
                  arguments.resume.front(), " name two folders; a run goes on in its own, so give one of them");
}

std::string run_of(const Arguments& arguments) {
  if (!arguments.run.empty()) return arguments.run;
  if (!arguments.resume.empty() && !arguments.resume.front().empty()) return arguments.resume.front();
  std::string stem;
  for (const auto& each : recipe::config_names(arguments.config.empty() ? "digits" : arguments.config))
    stem += (stem.empty() ? "" : "-") + std::filesystem::path(each).stem().string();
  return (std::filesystem::path("runs") / stem).string();
}

// A resumed run without --config takes the one in its folder.
std::string config_of(const Arguments& arguments, const std::string& run) {
  if (!arguments.config.empty()) return arguments.config;
  if (arguments.resume.empty()) return "digits.yaml";
  const auto kept = checkpoint::RunFolder(run).config();
  SDG_CHECK_USAGE(std::filesystem::exists(kept), run, ": nothing to resume there; expected ", kept.string());
  return kept.string();
}

// Conditions from a file decide some layers' sizes; where file or data are not there yet, training will say so.
network::FileConditions from_file(const recipe::RunConfig& config, int64_t images) {
  const auto& file = config.condition.file;
  if (config.condition.source != recipe::Source::kFile || images == 0 || !std::filesystem::exists(file)) return {};
  network::FileConditions out;
  auto told = conditions::read_told(file, images, config.data.size, config.condition.told);
  out.stored = std::move(told.stored);
  out.classes = told.classes;
  return out;
}

int dry_run(const recipe::RunConfig& config, const std::string& run, const network::Machine& machine) {
  auto cost = network::estimate_cost(config, machine);
  if (config.condition.source == recipe::Source::kFile)
    cost = network::estimate_cost(config, machine, from_file(config, cost.images));
  auto shown = config;
  std::printf("%s", config::to_yaml(config::Fields::of(shown)).c_str());
  std::printf("\n# run folder       %s\n%s", run.c_str(), to_text(cost).c_str());
  if (config.condition.source == recipe::Source::kFile && !std::filesystem::exists(config.condition.file))
    std::printf("# conditions       %s is not there: counted with an index below cluster.clusters (%lld) and no map\n",
                config.condition.file.c_str(), static_cast<long long>(config.cluster.clusters));
  return 0;
}

std::string note_of(const run::StepReport& report) {
  char text[96];
  std::snprintf(text, sizeof text, "loss %.4f", report.smooth_loss);
  std::string note = text;
  if (report.result.sinkhorn) {
    std::snprintf(text, sizeof text, "  clusters %.2f (%lld used)%s", static_cast<double>(report.result.cluster_loss),
                  static_cast<long long>(report.result.sinkhorn->used_clusters),
                  report.result.conditioned ? ", guiding" : "");
    note += text;
  }
  if (report.result.resting) note += cat("  clusters rest", report.result.conditioned ? ", guiding" : "");
  if (report.measured) {
    std::snprintf(text, sizeof text, "%.3f", report.measured->value);
    note += cat("  ", report.measured->name, " ", text, report.measured->lowest ? " (lowest)" : "");
  }
  return note;
}

int execute(const Arguments& arguments) {
  check_one_run(arguments);
  const std::string run = run_of(arguments);
  const auto config = recipe::load_config(config_of(arguments, run), arguments.set);
  if (arguments.dry_run) return dry_run(config, run, arguments.machine);

  const checkpoint::RunFolder folder(run);
  auto& ranks = join_ranks(arguments.ranks, config.device);
  ProgressBar bar("train", "img/s", static_cast<double>(config.train.batch));
  run::Observer observer;
  // Not before: a run that is refused leaves no folder behind.
  observer.on_start = [&](const std::string& message) {
    open_log_file(folder.log().string());
    catch_signals();  // before there is nothing to save
    say(cat(run, ": ", message, ranks.ranks() > 1 ? cat("; ", ranks.ranks(), " ranks") : std::string()));
  };
  observer.on_event = [](const std::string& message) { say(message); };
  bool first = true;
  std::string note;
  observer.on_step = [&](const run::StepReport& report) {
    if (first) bar.begin_at(report.step - 1);
    first = false;
    if (report.read) note = note_of(report);
    bar.update(report.step, report.steps, note);
  };
  observer.stop = [] { return caught_signal() != 0; };
  if (ranks.rank() > 0) {
    observer = {.on_start = {}, .on_step = {}, .on_event = {}, .stop = observer.stop};
    catch_signals();  // the first rank ends all
  }
  const auto outcome = run::train(config, folder, observer, ranks);
  leave_ranks();
  bar.finish();

  if (outcome.idle) {
    say(cat(run, ": finished already, at step ", outcome.step,
            "; nothing was done. To train on: --set train.steps=N; to draw from "
            "it: sdg sample --run ",
            run));
    return 0;
  }
  if (!outcome.finished) {
    say(cat("stopped at step ", outcome.step, " of ", config.train.steps, " by ", signal_name(caught_signal()),
            "; everything is in ", outcome.checkpoint.string(), "; the same command goes on from there"));
    return 128 + (caught_signal() ? caught_signal() : SIGTERM);  // another rank's
  }
  say(cat("finished: ", outcome.checkpoint.string(), " (step ", outcome.step, "); draw from it with: sdg sample --run ",
          run));
  return 0;
}

}  // namespace

Command train_command() {
  return {
      "train", "Train a network, cluster its own features, let the clusters guide it.", kExamples, [](CLI::App& app) {
        auto arguments = std::make_shared<Arguments>();
        app.add_option("--config", arguments->config,
                       "config file, or the name of a shipped one (sdg config --list); several with commas between, "
                       "each laid over the ones before; default digits.yaml")
            ->type_name("FILE|NAME[,...]");
        app.add_option("--run", arguments->run, "folder of the run; default runs/<name of the config>")
            ->type_name("DIR");
        app.add_option("--resume", arguments->resume, "go on with the run in --run, or in the folder given here")
            ->expected(0, 1)
            ->type_name("[DIR]")
            ->each([](const std::string&) {});
        app.add_flag("--dry-run", arguments->dry_run,
                     "print the resolved configuration, parameters, memory, FLOP and steps per epoch; train nothing");
        app.add_option("--gpus", arguments->machine.gpus, "with --dry-run: memory and time on N GPUs, one a rank")
            ->needs("--dry-run")
            ->check(CLI::PositiveNumber)
            ->type_name("N");
        app.add_option("--card", arguments->machine.card,
                       "with --dry-run: a100, h100 or h200, of whose peak a share is taken to be reached")
            ->needs("--dry-run")
            ->type_name("NAME");
        app.add_option("--tflops", arguments->machine.tflops,
                       "with --dry-run: what a rank reaches in training, in 1e12 FLOP a second")
            ->needs("--dry-run")
            ->check(CLI::PositiveNumber)
            ->type_name("X");
        declare_ranks(app, arguments->ranks);
        app.add_option("--set", arguments->set,
                       "override one option (repeatable); all options: sdg config --help-options")
            ->type_name("KEY=VALUE")
            ->expected(1)
            ->take_all();
        auto* resume = app.get_option("--resume");
        return [arguments, resume] {
          if (resume->count() > 0 && arguments->resume.empty()) arguments->resume.emplace_back();
          return execute(*arguments);
        };
      }};
}

}  // namespace sdg::cli
