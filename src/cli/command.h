#pragma once
#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace sdg::cli {

/// One subcommand: declares its options on `app` and returns what runs after parsing (its exit code).
struct Command {
  const char* name;
  const char* summary;
  const char* examples;
  std::function<std::function<int()>(CLI::App& app)> declare;
};

/// The one table of commands, in the order in which help lists them.
const std::vector<Command>& commands();

Command train_command();
Command launch_command();
Command sample_command();
Command fit_grid_command();
Command fit_prior_command();
Command invert_command();
Command likelihood_command();
Command eval_fid_command();
Command eval_command();
Command compare_command();
Command ref_stats_command();
Command eval_clusters_command();
Command encode_command();
Command decode_command();
Command kmeans_command();
Command config_command();
Command audit_command();
Command cluster_command();
Command clusters_command();
Command sweep_command();
Command average_command();
Command tune_command();
Command features_command();
Command bench_command();
Command inspect_command();
Command convert_command();
Command boxes_command();
Command masks_command();

}  // namespace sdg::cli
