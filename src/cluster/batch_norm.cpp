#include "cluster/batch_norm.h"

namespace sdg::cluster {

Tensor batch_norm(torch::nn::BatchNorm1dImpl& norm, const Tensor& x, Reducer& reducer) {
  if (reducer.ranks() == 1 || !norm.is_training()) return norm.forward(x);
  const auto rows = static_cast<double>(reducer.sum(x.size(0)));
  const auto mean = sum_over_ranks(x.sum(0, false, at::kDouble), reducer) / rows;  // [F]
  const auto centred = x - mean.to(x.scalar_type());                               // [n, F]
  const auto variance = sum_over_ranks(centred.square().sum(0, false, at::kDouble), reducer) / rows;
  if (norm.options.track_running_stats()) {
    const at::NoGradGuard no_grad;
    norm.num_batches_tracked += 1;
    const double momentum = norm.options.momentum().value();
    norm.running_mean.lerp_(mean.to(norm.running_mean.scalar_type()), momentum);
    norm.running_var.lerp_((variance * (rows / (rows - 1))).to(norm.running_var.scalar_type()), momentum);
  }
  auto out = centred * (variance + norm.options.eps()).rsqrt().to(x.scalar_type());
  if (norm.options.affine()) out = out * norm.weight + norm.bias;
  return out;  // [n, F]
}

}  // namespace sdg::cluster
