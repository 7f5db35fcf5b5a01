#include "sdg/cluster/label_prior.h"

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {

Tensor label_counts(const Tensor& ids, int64_t clusters, Reducer& reducer) {
  const auto flat = ids.flatten().cpu();
  const auto bad = reducer.sum(flat.lt(0).logical_or(flat.ge(clusters)).sum().item<int64_t>());
  SDG_CHECK(bad == 0, "label_counts: ids must lie in 0 … ", clusters - 1, ", ", bad, " do not");
  return reducer.all_reduce(at::bincount(flat, {}, clusters).to(at::kDouble));
}

Tensor label_prior(const Tensor& counts) {
  check_shape(counts, {-1}, "label_prior: counts");
  const auto weights = counts.to(at::kCPU, at::kDouble);
  const double total = weights.sum().item<double>();
  SDG_CHECK(std::isfinite(total) && total > 0 && weights.min().item<double>() >= 0,
            "label_prior: counts must be finite, not negative and not all zero, got a sum of ", total, " over ",
            counts.size(0), " clusters");
  return weights / total;
}

Tensor draw(const Tensor& prior, const rng::Stream& stream, at::IntArrayRef samples) {
  const auto cumulative = label_prior(prior).cumsum(0);
  // Scaled by the sum as rounded, u < 1 never points past the last cluster that has a share.
  const auto targets = rng::uniform(stream, samples, {}).to(at::kDouble) * cumulative[-1];
  return at::searchsorted(cumulative, targets, /*out_int32=*/false, /*right=*/true);
}

}  // namespace sdg::cluster
