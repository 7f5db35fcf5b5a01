#pragma once
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::learn {

/// This rank's rows of a step's batch of `batch` images: whole shards of `shard` where there is one for every rank, so
/// that a step has the same bits on any number of ranks; else, and on a GPU, where a rank's rows are one shard, single
/// images, equal within rounding. Shares differ by one shard (image) at most. Throws UsageError where there are more
/// ranks than images.
RowRange own_images(int64_t batch, int64_t shard, const at::Device& device, const Reducer& reducer);

/// Does own_images give whole shards?
bool in_whole_shards(int64_t batch, int64_t shard, const at::Device& device, int64_t ranks);

}  // namespace sdg::learn
