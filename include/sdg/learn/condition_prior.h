#pragma once
#include <string>
#include <vector>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"
#include "sdg/tensors/tensor_file.h"

namespace sdg::learn {

/// What sampling draws conditions from: how often each was given lately.
class ConditionPrior {
 public:
  /// Of `classes` indices (0: there are none); with `patches` > 0 the last maps of clusters are remembered besides.
  explicit ConditionPrior(int64_t classes = 0, int64_t patches = 0);

  /// Every index counts as often as the data set holds it; ids int64 [data set size].
  void count_all(const Tensor& ids);
  /// The indices of one step, int64 [n] or [n, L]. Older steps count less: they come from clusters that have moved
  /// since. Over ranks those of all, in the order of the ranks.
  void see(const Tensor& ids, Reducer& reducer = Reducer::local());
  /// The same on one rank without waiting for the device of `ids`, where counts and maps move to. `bad`, a bool scalar
  /// there: nothing was given. Maps ever seen count in any case; settled() takes them back.
  void see_unless(const Tensor& bad, const Tensor& ids);
  /// Of the steps seen since the last call the last `undone` did not count.
  void settled(size_t undone);

  /// Shares [K]; at patch level the last maps themselves, int64 [M, L]. Undefined where there are no indices.
  Tensor value() const;

  void save(tensors::TensorFile& file) const;
  void load(const tensors::TensorFile& file, const std::string& where);

 private:
  Tensor counts_;  // [K] float64
  Tensor maps_;    // int32 [kMaps, L]: ring
  int64_t maps_seen_ = 0;
  std::vector<int64_t> seen_before_;  // maps_seen_ before each step that is not settled
};

}  // namespace sdg::learn
