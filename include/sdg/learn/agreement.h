#pragma once
#include <vector>

#include "sdg/core/figure.h"
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::learn {

/// Do clusters hold still? Remembers the cluster that each image had when it was last seen and keeps the share that
/// has it again: other noise and a teacher that has moved on, which is just what a condition has to survive.
class Agreement {
 public:
  Agreement() = default;
  /// Of a data set of `images`, at most kRemembered of which are remembered, evenly spread (data sets are often sorted
  /// by class); `patches` entries an image (1 at image level).
  Agreement(int64_t images, int64_t patches);
  static constexpr int64_t kRemembered = 16384;

  /// One step's images (indices into the data set) and their clusters, int64 [n] or [n, L]. An image that is there more
  /// than once, as where the data set is smaller than the batch, counts once. Over ranks the images of all are seen, in
  /// the order of the ranks, and each rank remembers the same.
  void see(const std::vector<int64_t>& index, const Tensor& ids, Reducer& reducer = Reducer::local());
  /// The same on one rank without waiting for the device of `ids`, where the memory moves to. `bad`, a bool scalar
  /// there: nothing was seen.
  void see_unless(const Tensor& bad, const std::vector<int64_t>& index, const Tensor& ids);

  /// Smoothed share of entries that kept their cluster, over about the last 2,000 images seen again (or all, where the
  /// data set is smaller); below 0 while fewer than that were.
  Figure value() const;

  /// int32 [remembered images, patches], -1 where never seen; and {kept, counted}, for checkpoints.
  Tensor memory() const { return memory_; }
  Tensor figures() const;
  void restore(const Tensor& memory, const Tensor& figures);

 private:
  Tensor memory_;
  int64_t stride_ = 1;             // every which image is remembered
  double span_ = 1;                // images over which the share is smoothed
  double kept_ = 0, counted_ = 0;  // decaying sums
  double seen_ = 0;
  Tensor sums_;  // these three, double [3], once they live on a device
};

}  // namespace sdg::learn
