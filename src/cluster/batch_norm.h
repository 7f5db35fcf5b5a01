#pragma once
#include <torch/nn/modules/batchnorm.h>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {

/// What `norm` makes of x [n, F], the statistics in train mode being those of all ranks' rows, with the gradient
/// through them (as SyncBatchNorm; sums are float64). The running statistics become the same on all ranks. With one
/// rank, or in eval mode, norm.forward(x).
Tensor batch_norm(torch::nn::BatchNorm1dImpl& norm, const Tensor& x, Reducer& reducer);

}  // namespace sdg::cluster
