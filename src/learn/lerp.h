#pragma once
#include "sdg/core/tensor.h"

namespace sdg::learn {

/// ours + share (theirs - ours), unless `bad` (a bool scalar on the device, may be undefined) says that the step does
/// not count. Both are finite in any case, so a share of 0 changes nothing.
inline void lerp_unless_bad(const Tensor& ours, const Tensor& theirs, double share, const Tensor& bad) {
  if (!bad.defined()) {
    ours.lerp_(theirs, share);
  } else {
    ours.lerp_(theirs, bad.logical_not().to(ours.scalar_type()) * share);
  }
}

}  // namespace sdg::learn
