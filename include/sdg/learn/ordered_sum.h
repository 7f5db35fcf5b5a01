#pragma once
#include <condition_variable>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "sdg/learn/bucket_exchange.h"
#include "sdg/learn/gradient_hooks.h"
#include "sdg/learn/learner_state.h"
#include "sdg/learn/objective.h"
#include "sdg/learn/shard_exchange.h"
#include "sdg/network/flat_parameters.h"

namespace sdg::learn {

/// The sum of the shards' losses and gradients in the order of the shards: it depends neither on threads and timing
/// nor, where ranks have whole shards, on the number of ranks.
///
/// On one rank a gradient is added as soon as those before it have been, and let go, so that besides the sum only those
/// wait that overtook a slower shard: as a rule fewer than there are threads. Of several ranks with whole shards each
/// hands its gradients out as they come (ShardExchange), so that besides a slice of the sum one is on its way and those
/// of the threads wait for it. Ranks whose shares are no whole shards (GPUs) first add up their own; what the backward
/// pass of the last one finds may be watched, and then goes to the others (BucketExchange) while it still runs.
class OrderedSum {
 public:
  enum class Exchange {
    kAsTheyCome,  ///< by a thread of its own, while later shards are computed: one sum at a time may
    kAtTheEnd,    ///< all shards wait for take()
  };

  OrderedSum() = default;
  ~OrderedSum() { break_off(); }
  OrderedSum(const OrderedSum&) = delete;
  OrderedSum& operator=(const OrderedSum&) = delete;

  /// Of one rank. Forgets the last step. `flat` must outlive this.
  void begin(const network::FlatParameters& flat);
  /// Of a step of all ranks; `state`, which must outlive this, says what shards there are.
  void begin(const LearnerState& state, Exchange when);
  /// What shard `number` of this rank adds: numbers count from 0 without gaps, each comes once, on any thread.
  /// `gradients` are those of the first of the flat tensor's parameters; undefined ones count as zero.
  void add(int64_t number, const Figure& loss, std::vector<Tensor> gradients);
  /// The same of gradients that were computed of `shard`: of one that is lent copies wait.
  void add(const Shard& shard, const Figure& loss, std::vector<Tensor> gradients);
  /// The same of gradients with their loss, a scalar, behind them.
  void add_with_loss(const Shard& shard, std::vector<Tensor> computed);
  /// While what this gives lives, gradients of `parameters`, the first of the flat tensor's, that the pass of `shard`
  /// finds go on their way at once; then add() them as others. Null, and nothing is watched, where they cannot: unless
  /// ranks add up their own, as they come and into a whole sum, and the shard is the last.
  std::unique_ptr<GradientHooks> watch(const Shard& shard, const std::vector<Tensor>& parameters);
  /// After all shards, on all ranks together: the sum, of the part of the flat tensor that this rank steps
  /// (LearnerState::stepped). What belongs to parameters that no gradient was given for is zero.
  Contribution take();

 private:
  struct Part {
    Figure loss;
    std::vector<Tensor> gradients;
  };
  void break_off();
  void open();
  void include(const Part& part);
  void found(size_t parameter, const Tensor& gradient);
  void hand_out();
  void hand_out_as_they_come();
  void finish_shards();
  Tensor sum_of_buckets();
  Contribution of_all_ranks();
  double loss_of_all_ranks(const StepShards& shards);

  const network::FlatParameters* flat_ = nullptr;
  const LearnerState* state_ = nullptr;  // null: one rank
  StepShards parts_;                     // where ranks add up their own
  std::unique_ptr<ShardExchange> exchange_;
  std::unique_ptr<BucketExchange> buckets_;  // where ranks add up their own into a whole sum
  bool whole_shards_ = false, as_they_come_ = false;
  std::thread courier_;
  std::exception_ptr failure_;  // of the courier

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, Part> waiting_;
  std::vector<double> losses_;  // of this rank's shards, where they are handed out one by one
  bool complete_ = false;       // no shard comes any more
  bool ended_ = false;          // the courier takes no more
  int64_t next_ = 0;            // which shard's turn it is
  bool adding_ = false;         // does some thread add just now
  Contribution sum_;
  std::vector<Tensor> views_;    // of the sum's gradient, by parameter
  bool empty_ = true;            // nothing is in it yet
  std::vector<bool> is_in_;      // of the last shard, by parameter: it was watched, and is in the sum
  size_t first_behind_all_ = 0;  // and all from this parameter on are
};

/// The sum of a figure of each of this rank's shards over the shards of all ranks, in their order; all ranks together.
Figure sum_in_order(const LearnerState& state, const std::vector<Figure>& own);

}  // namespace sdg::learn
