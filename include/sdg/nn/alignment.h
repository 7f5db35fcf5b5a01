#pragma once
#include "sdg/core/tensor.h"

namespace sdg::nn {

/// REPA's loss (Yu et al., 2025): minus the cosine between projected tokens and the features of another network at the
/// same places, mean over the tokens; [N, L, Z] twice -> [N].
Tensor alignment_loss(const Tensor& projected, const Tensor& features);

}  // namespace sdg::nn
