#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "sdg/recipe/run_config.h"

/// How fast a configuration trains and samples here, as shares of what this machine's matrix products reach in the same
/// run.
namespace sdg::bench {

/// One row of the table.
struct BenchRow {
  std::string what;
  double milliseconds = 0;  ///< median of a step
  double images_per_second = 0;
  double gflops = 0;  ///< of the network's matrix products and attention alone
};

struct BenchReport {
  double peak_gflops = 0;  ///< float32 matrix products of 512 x 512 x 512, one a thread, all threads at once
  int threads = 0;
  std::vector<BenchRow> rows;
};

/// Measures in rounds, each round every row once, and takes medians, so that a machine whose speed drifts treats all
/// rows alike: the training step as the trainer runs it (shards on threads of their own), the same step on the whole
/// batch through the kernels' own threads with a per-parameter AdamW (what eager LibTorch code does), and the sampler.
/// `steps_only` leaves out the last two, which take most of the time of a large network.
BenchReport bench(const recipe::RunConfig& config, int64_t rounds, bool steps_only = false);

/// What it costs to make a network out of a checkpoint.
struct LoadReport {
  double load_seconds = 0;     ///< until the network stands, its file's pages not yet read
  double forward_seconds = 0;  ///< the first forward pass of one image, which reads every weight
  int64_t file_bytes = 0;
  int64_t peak_bytes = 0;  ///< most memory that the process ever held, mapped pages and the libraries included
};
LoadReport bench_load(const std::filesystem::path& checkpoint);

}  // namespace sdg::bench
