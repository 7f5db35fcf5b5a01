#pragma once
#include "sdg/core/tensor.h"

namespace sdg::cluster {

/// What another view of a feature is where there is no image to look at anew (CLUDI, 2507.04283): copies x [C, B, F]
/// plus noise [C, B, F] brought to length 1, times lengths [C].
Tensor with_noise(const Tensor& x, const Tensor& noise, const Tensor& lengths);
/// Entries whose uniform draw [C, B, F] is at most the copy's rate [C] become 0; the others stay as they are.
Tensor with_gaps(const Tensor& x, const Tensor& uniform, const Tensor& rates);

}  // namespace sdg::cluster
