#include "sdg/cli/app.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>

#include "cli/command.h"
#include "cli/help_format.h"
#include "cli/joined_ranks.h"
#include "cli/log_file.h"
#include "cli/outputs.h"
#include "cli/process.h"
#include "cli/terminal.h"
#include "sdg/config/suggest.h"
#include "sdg/core/error.h"
#include "sdg/core/version.h"

namespace sdg::cli {
namespace {

constexpr int kFailure = 1, kUsage = 2, kInternal = 70;

int report(const std::string& message, int code) {
  std::string line = message.substr(0, message.find('\n'));
  std::fprintf(stderr, "sdg: %s\n", line.c_str());
  write_log_file(3, line);
  return code;
}

// CLI11 only says that a command is required where a name is not one.
void check_command_name(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& command : commands()) names.emplace_back(command.name);
  if (name.empty() || name.front() == '-' || std::find(names.begin(), names.end(), name) != names.end()) return;
  const auto meant = config::closest(name, names);
  throw UsageError(
      cat("unknown command ", name, meant.empty() ? "" : "; did you mean " + meant + "?", "; see sdg --help"));
}

// Of the first word that the command took for no option of its own.
std::string suggestion(const CLI::App& command) {
  std::vector<std::string> names;
  for (const auto* option : command.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back(name);
  }
  for (const auto& word : command.remaining()) {
    if (!word.starts_with("--")) continue;
    const auto meant = config::closest(word.substr(2, word.find('=') - 2), names);
    return meant.empty() ? "" : cat("; did you mean --", meant, "?");
  }
  return "";
}

int parse_error(const CLI::App& app, const CLI::ParseError& error) {
  if (!is_first_rank()) return error.get_exit_code() == 0 ? 0 : kUsage;
  if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
  const auto parsed = app.get_subcommands();
  if (parsed.empty()) return report(cat(error.what(), "; see sdg --help"), kUsage);
  const auto& command = *parsed.front();
  return report(
      cat(command.get_name(), ": ", error.what(), suggestion(command), "; see sdg ", command.get_name(), " --help"),
      kUsage);
}

int code_of(const std::exception& error) {
  if (dynamic_cast<const UsageError*>(&error)) return kUsage;
  return dynamic_cast<const InternalError*>(&error) ? kInternal : kFailure;
}

}  // namespace

const std::vector<Command>& commands() {
  static const std::vector<Command> table{
      train_command(),         launch_command(),   sample_command(),   fit_grid_command(), invert_command(),
      likelihood_command(),    eval_command(),     eval_fid_command(), compare_command(),  ref_stats_command(),
      eval_clusters_command(), clusters_command(), features_command(), kmeans_command(),   cluster_command(),
      boxes_command(),         masks_command(),    audit_command(),    sweep_command(),    average_command(),
      fit_prior_command(),     tune_command(),     encode_command(),   decode_command(),   inspect_command(),
      convert_command(),       config_command(),   bench_command()};
  return table;
}

namespace {

// In the order that CLI11 takes. The -- that torchrun wants before its command is understood by launch too.
std::vector<std::string> words_of(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  if (!words.empty() && words.front() == "launch") {
    const auto dashes = std::find(words.begin(), words.end(), "--");
    if (dashes != words.end()) words.erase(dashes);
  }
  std::reverse(words.begin(), words.end());
  return words;
}

int run_command(int argc, char** argv) {
  // Parallelism comes from work split over core/parallel.h: kernels with a pool of their own would spin against it.
  at::set_num_threads(1);
  install_log_sink();
  if (!is_first_rank()) fall_silent();

  CLI::App app{"sdg: trains diffusion networks that guide themselves, samples from them and measures them.", "sdg"};
  app.formatter(std::make_shared<HelpFormat>());
  app.set_version_flag("--version", version_report());
  app.require_subcommand(1);
  app.footer("Each command explains itself: sdg COMMAND --help");
  std::vector<std::pair<CLI::App*, std::function<int()>>> runners;
  for (const auto& command : commands()) {
    auto* sub = app.add_subcommand(command.name, command.summary);
    sub->footer(cat("Examples:\n", command.examples));
    runners.emplace_back(sub, command.declare(*sub));
  }
  try {
    if (argc > 1) check_command_name(argv[1]);
    app.parse(words_of(argc, argv));
  } catch (const CLI::ParseError& error) {
    return parse_error(app, error);
  } catch (const UsageError& error) {
    return is_first_rank() ? report(error.what(), kUsage) : kUsage;
  }
  try {
    for (const auto& [sub, runner] : runners) {
      if (!sub->parsed()) continue;
      if (sub->get_option_no_throw("--patience") == nullptr) check_alone(sub->get_name());
      check_outputs(*sub);
      return runner();
    }
  } catch (const std::exception& error) {
    const int code = code_of(error);
    if (speaks_of(error))
      report(cat(code == kInternal ? "mistake of the program, please report it: " : "", error.what()), code);
    end_failed_rank(error, code);
    return code;
  }
  return kUsage;
}

}  // namespace

int run(int argc, char** argv) {
  prepare_process();
  see_own_device();
  return finish_output(run_command(argc, argv));
}

}  // namespace sdg::cli
