#pragma once
#include <cstdint>
#include <vector>

#include "sdg/core/reducer.h"

namespace sdg::learn {

/// Counts or numbers, [ranks][shards of that rank].
using OfShards = std::vector<std::vector<int64_t>>;

/// Which shards of a step's batch each rank has.
struct StepShards {
  OfShards numbers;    ///< the place of each among the shards of all ranks, from 0 on, by their first samples
  OfShards sizes;      ///< images
  int64_t images = 0;  ///< of all
};

/// All ranks together. `samples` are the global counters of this rank's images, in shards of `shard` (the last may be
/// smaller). Throws Error on all ranks where one has no image.
StepShards step_shards(const std::vector<int64_t>& samples, int64_t shard, Reducer& reducer);

/// Of each rank one part: what ranks have added up alone.
StepShards one_part_each(int64_t ranks);

/// Rows of all ranks in the order of the shards, which is that of one rank with the whole batch; `rows` [n, ...] are
/// this rank's, in the order of its shards, and `counts` how many each shard of each rank has. With one rank `rows`.
Tensor gather_in_order(const Tensor& rows, const OfShards& counts, const StepShards& shards, Reducer& reducer);

/// The counts of all ranks from this one's, of each of its shards.
OfShards gather_counts(const std::vector<int64_t>& own, const StepShards& shards, Reducer& reducer);

}  // namespace sdg::learn
