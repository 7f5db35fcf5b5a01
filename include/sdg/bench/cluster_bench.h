#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "sdg/core/progress.h"
#include "sdg/recipe/run_config.h"

/// What clustering costs within a training step. Both studies measure in interleaved rounds and report medians.
namespace sdg::bench {

struct ClusterBenchRow {
  std::string what;
  double milliseconds = 0;
  double share = 0;  ///< of the step that the study compares with
};

/// The clustering part of a step at B = train.batch and K = cluster.clusters of `config`, beside the flow loss.
struct SinkhornBench {
  int64_t batch = 0, clusters = 0, features = 0, dim = 0;  ///< B, K, width of the features and of the prototypes
  int64_t images = 0;  ///< on which the flow loss was measured; its time is scaled to B
  std::vector<ClusterBenchRow> rows;
};

/// Rows: Sinkhorn alone; head forward, Sinkhorn, loss and backward; forward and backward of the flow loss on `images`
/// images, times B / images. The step that shares refer to is the sum of the last two: optimizer, average and teacher
/// are left out of it, and activations are kept, so the shares are upper bounds.
SinkhornBench bench_sinkhorn(const recipe::RunConfig& config, int64_t images, int64_t rounds,
                             const Progress& progress = {});

/// The teacher stopped after the tapped block (cluster.early_exit) against the teacher run to its end.
struct EarlyExitBench {
  std::vector<ClusterBenchRow> rows;  ///< step and teacher's passes, each both ways; shares of the whole teacher's step
  double saved = 0;                   ///< share of a step that the early exit saves
  bool identical = false;  ///< were clusters, Sinkhorn's assignments and gradients of all steps the same bit for bit
};

/// Trains both ways side by side, on the same made-up batches, with clustering online.
EarlyExitBench bench_early_exit(const recipe::RunConfig& config, int64_t rounds, const Progress& progress = {});

}  // namespace sdg::bench
