#pragma once
#include <map>
#include <mutex>
#include <vector>

#include "sdg/learn/objective.h"
#include "sdg/network/flat_parameters.h"

namespace sdg::learn {

/// The sum of the shards' losses and gradients in the order of the shards, all ranks' one after the other: it depends
/// neither on threads and timing nor, where ranks have whole shards, on the number of ranks. On one rank a gradient is
/// added as soon as those before it have been, and let go, so that besides the sum only those wait that overtook a
/// slower shard: as a rule fewer than there are threads. Of several ranks each keeps its own until all are added.
class OrderedSum {
 public:
  /// Forgets the last step. Both must outlive this.
  void begin(const network::FlatParameters& flat, Reducer& reducer = Reducer::local());
  /// What shard `number` adds: numbers count from 0 without gaps, each comes once, on any thread. `gradients` are those
  /// of the first of the flat tensor's parameters; undefined ones count as zero.
  void add(int64_t number, double loss, std::vector<Tensor> gradients);
  /// After all shards, on all ranks together: the sum. What belongs to parameters that no gradient was given for is
  /// zero.
  Contribution take();

 private:
  struct Part {
    double loss = 0;
    std::vector<Tensor> gradients;
  };
  void include(const Part& part);
  Contribution of_all_ranks();

  const network::FlatParameters* flat_ = nullptr;
  Reducer* reducer_ = nullptr;
  std::mutex mutex_;
  std::map<int64_t, Part> waiting_;
  int64_t next_ = 0;     // which shard's turn it is
  bool adding_ = false;  // does some thread add just now
  Contribution sum_;
  std::vector<Tensor> views_;  // of the sum's gradient, by parameter
};

}  // namespace sdg::learn
