#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/tensor.h"

namespace sdg {

/// A rank was lost, came to another call than the others, or failed: nothing goes on.
class RankError : public Error {
 public:
  using Error::Error;
};

/// How the ranks (processes, each with its share of one global batch) exchange tensors. What needs the whole batch
/// takes a Reducer and gives the answer of the whole batch, whichever way it is divided, also where a rank's share is
/// empty. With one rank nothing is exchanged, copied or computed otherwise than without: no bit changes.
///
/// - Every rank makes the same calls in the same order. What one rank alone finds wrong with its data is therefore
///   exchanged first, so that all ranks throw the same.
/// - Which numbers are added in which order is a function of ranks and shapes, never of timing, and all ranks get the
///   same bits. Ranks are taken to be of one kind: what each computes from the same numbers is the same.
/// - Tensors are float64, float32 or int64, on any device; results lie where the argument lay. Other types, and tensors
///   that carry a graph (see sum_over_ranks), throw Error; a call during which a rank was lost throws RankError.
/// - One call at a time, from whichever thread.
class Reducer {
 public:
  enum class Op {
    kSum,
    kMax,  ///< of numbers that are not nan
  };

  virtual ~Reducer() = default;
  Reducer(const Reducer&) = delete;
  Reducer& operator=(const Reducer&) = delete;

  int64_t rank() const { return rank_; }    ///< 0 … ranks - 1
  int64_t ranks() const { return ranks_; }  ///< at least 1

  /// Element by element over all ranks, of one shape and type everywhere. `values` is overwritten and returned.
  Tensor all_reduce(Tensor values, Op op = Op::kSum);
  /// [n, ...] with an n of each rank's own -> [n of all ranks, ...]: rank 0's rows, then rank 1's, and so on. `counts`
  /// are all ranks' n, where every rank knows them: else they are asked for first.
  Tensor all_gather(const Tensor& rows, const std::vector<int64_t>& counts = {});
  /// [...] of one shape everywhere -> [ranks, ...].
  Tensor all_gather_alike(const Tensor& own);
  /// `values` of rank `root` for all, of one shape and type everywhere. `values` is overwritten and returned.
  Tensor broadcast(Tensor values, int64_t root = 0);

  /// A piece of `values` [n] to each rank: the first to[0] numbers to rank 0, those that follow to rank 1, and so on.
  /// Gives what came to this rank, rank 0's piece first; from[r] is how much comes from rank r. Pieces may be empty.
  Tensor all_to_all(const Tensor& values, const std::vector<int64_t>& to, const std::vector<int64_t>& from);

  /// The sum over all ranks of one number, and the largest.
  double sum(double value);
  int64_t sum(int64_t value);
  double max(double value);

  /// What rank 0 does for all while the others wait, however long it takes: writing, say. What it throws, all throw.
  void first_alone(const std::function<void()>& work);

  /// Where this rank is, for messages to whoever waits for it: "step 12".
  virtual void at(const std::string& /*place*/) {}

  /// Rows of up to so many numbers in all are better gathered on every rank, which then computes alone what needs the
  /// whole batch, as one rank would: the same bits, and fewer messages. The same on all ranks.
  int64_t worth_gathering = 1 << 25;

  /// One rank.
  static Reducer& local();

 protected:
  Reducer(int64_t rank, int64_t ranks);

 private:
  // Called with more than one rank only, and with types that are allowed.
  virtual void reduce_into(Tensor& values, Op op) = 0;
  virtual Tensor gathered(const Tensor& rows, const std::vector<int64_t>& counts) = 0;
  virtual Tensor gathered_alike(const Tensor& own) = 0;
  virtual void broadcast_into(Tensor& values, int64_t root) = 0;
  virtual Tensor exchanged(const Tensor& values, const std::vector<int64_t>& to, const std::vector<int64_t>& from) = 0;
  // Returns on all ranks once rank 0 has come, which may take longer than any other call.
  virtual void wait_for_first() {}

  int64_t rank_, ranks_;
};

/// Reducer::all_reduce(x) with a gradient, for statistics of the whole batch within a loss. Each rank's loss is its
/// part of the whole, so that the parts add up; the gradient of the sum, which every rank uses, is then the sum of the
/// ranks' gradients, and their backward passes meet here. Every rank's loss must hang on the result, also a loss over
/// no row.
Tensor sum_over_ranks(const Tensor& x, Reducer& reducer);

/// This rank's part of the mean over all ranks' values, a scalar with gradient: the sum of its own [n] / the number of
/// all. The parts add up to the mean. With one rank values.mean().
Tensor part_of_mean(const Tensor& values, Reducer& reducer);

/// log of the sum over all ranks of exp(x), element by element; x may be -inf (nothing added). Without gradient.
Tensor log_sum_over_ranks(const Tensor& x, Reducer& reducer);

/// A text of each rank, in their order.
std::vector<std::string> all_gather_texts(const std::string& text, Reducer& reducer);

/// A part [begin, end) of something.
struct RowRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};
/// This rank's part of `count` rows: parts follow each other in the order of the ranks, their sizes differ by one at
/// most.
RowRange own_rows(int64_t count, const Reducer& reducer);
/// The same of any rank of `ranks`.
RowRange own_rows(int64_t count, int64_t rank, int64_t ranks);

}  // namespace sdg
