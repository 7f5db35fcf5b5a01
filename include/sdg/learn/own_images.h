#pragma once
#include <cstdint>
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"
#include "sdg/recipe/options.h"

namespace sdg::learn {

/// This rank's rows of a step's batch of `batch` images, ascending: every ranks-th shard of `shard` images where there
/// is one for every rank, so that a step has the same bits on any number of ranks and gradients can be added in order
/// as they come; else, and on a GPU, where a rank's rows are one shard, single images that follow each other, equal
/// within rounding. Shares differ by one shard (image) at most. Throws UsageError where there are more ranks than
/// images.
std::vector<int64_t> own_images(int64_t batch, int64_t shard, const at::Device& device, const Reducer& reducer);

/// Images of a shard on a CPU: train.shard, or train.micro_batch where that is smaller.
int64_t shard_images(const recipe::TrainOptions& train);

/// Does own_images give whole shards?
bool in_whole_shards(int64_t batch, int64_t shard, const at::Device& device, int64_t ranks);

}  // namespace sdg::learn
