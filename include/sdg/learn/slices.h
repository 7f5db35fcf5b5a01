#pragma once
#include <cstdint>
#include <vector>

#include "sdg/core/reducer.h"

namespace sdg::learn {

/// How ranks divide a flat tensor [P] among them: rank r has [cuts[r], cuts[r + 1]), about P / ranks numbers.
class Slices {
 public:
  Slices() = default;
  /// `parts`, ascending and without gaps from 0 to P, are what the optimizer works on one by one; cuts lie a multiple
  /// of 64 numbers behind the beginning of one, so that its kernel groups numbers as without cuts, and no bit differs.
  Slices(const std::vector<RowRange>& parts, const Reducer& reducer);

  RowRange of(int64_t rank) const;
  RowRange own() const { return of(rank_); }
  int64_t size() const { return cuts_.back(); }  ///< P
  int64_t largest() const;

 private:
  std::vector<int64_t> cuts_{0};
  int64_t rank_ = 0;
};

/// Numbers that one message to a rank holds at most, so that buffers stay small beside what is sent.
int64_t numbers_at_once(const Tensor& like, const Reducer& reducer);

/// Fills `whole` [P] with all ranks' slices, of which `own` is this rank's; it may lie within `whole`.
void gather_slices(Tensor& whole, const Tensor& own, const Slices& slices, Reducer& reducer);

/// [P] in the main memory of rank 0, undefined on the others, which never hold it.
Tensor gather_on_first(const Tensor& own, const Slices& slices, Reducer& reducer);

/// The length of a vector [P] of which each rank has its slice: to the bit what Tensor::norm() says of the whole on a
/// CPU, whose kernel adds squares in eight sums, one after the other. On a GPU from sums in float64.
double norm_of_slices(const Tensor& own, const Slices& slices, Reducer& reducer);

}  // namespace sdg::learn
