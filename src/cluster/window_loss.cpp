#include "sdg/cluster/window_loss.h"

#include <algorithm>

#include "sdg/core/error.h"

namespace sdg::cluster {

Tensor in_window(const Tensor& t, double begin, double end) {
  return (t > begin).logical_and(t < end);
}

Tensor window_mean(const Tensor& losses, const Tensor& mask, Averaging averaging, Reducer& reducer) {
  const bool one_each = losses.dim() == 1 && mask.dim() == 1 && losses.size(0) == mask.size(0);
  SDG_CHECK(
      one_each || (losses.dim() == 1 && mask.dim() == 1 && mask.size(0) > 0 && losses.size(0) % mask.size(0) == 0),
      "window_mean: losses must be [N] or [N*L] for a mask [N], got ", to_string(losses.sizes()), " and ",
      to_string(mask.sizes()));
  const int64_t tokens = one_each ? 1 : losses.size(0) / mask.size(0);
  const auto rows = reducer.sum(losses.size(0));
  SDG_CHECK(rows > 0, "window_mean: there is no loss");
  // where() and not a product: a loss that is inf outside the window must not make nan.
  const auto inside = (tokens == 1 ? mask : mask.repeat_interleave(tokens)).to(at::kBool);
  const auto sum = at::where(inside, losses, at::zeros_like(losses)).sum();
  if (averaging == Averaging::kBatch) return sum / rows;
  return sum / reducer.all_reduce(inside.sum()).clamp_min(1);
}

double warm_up_weight(int64_t step, double ramp_steps, double weight) {
  return ramp_steps > 0 ? weight * std::min(1.0, static_cast<double>(step) / ramp_steps) : weight;
}

}  // namespace sdg::cluster
