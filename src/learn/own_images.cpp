#include "sdg/learn/own_images.h"

#include <algorithm>

#include "sdg/core/error.h"

namespace sdg::learn {

bool in_whole_shards(int64_t batch, int64_t shard, const at::Device& device, int64_t ranks) {
  return ranks == 1 || (device.is_cpu() && (batch + shard - 1) / shard >= ranks);
}

RowRange own_images(int64_t batch, int64_t shard, const at::Device& device, const Reducer& reducer) {
  SDG_CHECK_USAGE(batch >= reducer.ranks(), "train.batch: ", batch, " images for ", reducer.ranks(),
                  " ranks leave some without any; use fewer ranks or a larger batch");
  if (!in_whole_shards(batch, shard, device, reducer.ranks())) return own_rows(batch, reducer);
  const auto own = own_rows((batch + shard - 1) / shard, reducer);
  return {own.begin * shard, std::min(batch, own.end * shard)};
}

}  // namespace sdg::learn
