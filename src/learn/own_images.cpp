#include "sdg/learn/own_images.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/rng.h"

namespace sdg::learn {

int64_t shard_images(const recipe::TrainOptions& train) {
  return train.micro_batch > 0 ? std::min(train.shard, train.micro_batch) : train.shard;
}

bool in_whole_shards(int64_t batch, int64_t shard, const at::Device& device, int64_t ranks) {
  return ranks == 1 || (device.is_cpu() && (batch + shard - 1) / shard >= ranks);
}

std::vector<int64_t> own_images(int64_t batch, int64_t shard, const at::Device& device, const Reducer& reducer) {
  SDG_CHECK_USAGE(batch >= reducer.ranks(), "train.batch: ", batch, " images for ", reducer.ranks(),
                  " ranks leave some without any; use fewer ranks or a larger batch");
  if (!in_whole_shards(batch, shard, device, reducer.ranks())) {
    const auto own = own_rows(batch, reducer);
    return rng::consecutive(own.begin, own.size());
  }
  std::vector<int64_t> out;
  for (auto first = reducer.rank() * shard; first < batch; first += reducer.ranks() * shard) {
    const auto rows = rng::consecutive(first, std::min(shard, batch - first));
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

}  // namespace sdg::learn
