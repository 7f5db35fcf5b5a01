#pragma once
#include <vector>

#include "sdg/learn/slices.h"
#include "sdg/learn/step_shards.h"
#include "sdg/network/flat_parameters.h"

namespace sdg::learn {

/// Adds the gradients of all ranks' shards in the order of the shards: every rank adds one slice of the flat gradient.
/// In rounds: in the k-th each rank hands out its k-th shard. Of shards dealt out in turn (own_images) a round is added
/// when it has come, and let go; of others, slices wait for those before them.
class ShardExchange {
 public:
  /// All must outlive this.
  ShardExchange(const network::FlatParameters& flat, const Slices& slices, const StepShards& shards, Reducer& reducer);

  int64_t rounds() const { return rounds_; }
  /// Has this rank a k-th shard?
  bool has(int64_t k) const { return has(reducer_.rank(), k); }
  /// All ranks together, round after round. `gradients` are of the first of the flat tensor's parameters, undefined
  /// ones count as zero; none where this rank has no k-th shard.
  void round(int64_t k, const std::vector<Tensor>& gradients);
  /// After the last round: this rank's slice of the sum.
  Tensor slice();
  /// After the last round, all ranks together: the sum [P].
  Tensor whole();

 private:
  bool has(int64_t rank, int64_t k) const;
  void copy_part(const std::vector<Tensor>& gradients, RowRange place, const Tensor& out) const;
  void include(int64_t number, RowRange place, const Tensor& part);

  const network::FlatParameters& flat_;
  const Slices& slices_;
  const StepShards& shards_;
  Reducer& reducer_;
  std::vector<int64_t> begins_;  // of each parameter in the flat tensor, and its end
  int64_t rounds_ = 0;
  bool in_turn_ = true;       // do shards come in their order?
  Tensor sum_;                // of this rank's slice
  std::vector<Tensor> held_;  // slices of all shards, where they do not
};

}  // namespace sdg::learn
