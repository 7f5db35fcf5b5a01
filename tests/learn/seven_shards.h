#pragma once
// Gradients of seven shards for a linear layer, so large and so unlike that the order in which they are added shows.
#include <torch/nn/modules/linear.h>

#include <vector>

#include "sdg/core/rng.h"
#include "sdg/network/flat_parameters.h"

namespace sdg::test {

constexpr int64_t kShards = 7;

struct SevenShards {
  SevenShards(int64_t in, int64_t out) : layer(in, out) {
    flat.add("", *layer);
    flat.build();
    const auto weights = in * out;
    for (int64_t shard = 0; shard < kShards; ++shard) {
      const auto values = rng::normal({shard + 1ULL, rng::Purpose::kTest, 0}, {0}, {weights + out})[0] * 1e3F;
      losses.push_back(values[0].item<double>());
      gradients.push_back({values.slice(0, 0, weights).view({out, in}).clone(), values.slice(0, weights).clone()});
    }
  }
  /// One after the other, as a loop would: [out * in + out].
  Tensor expected() const {
    Tensor total;
    for (const auto& shard : gradients) {
      const auto one = at::cat({shard[0].flatten(), shard[1].flatten()});
      total = total.defined() ? total + one : one;
    }
    return total;
  }

  torch::nn::Linear layer;
  network::FlatParameters flat;
  std::vector<double> losses;
  std::vector<std::vector<Tensor>> gradients;  ///< by shard: weight [out, in], bias [out]
};

}  // namespace sdg::test
