#include "sdg/generate/even_rows.h"

#include <torch/types.h>

#include "sdg/core/shape.h"

namespace sdg::generate {

Tensor frequencies(const Tensor& prior, const sample::SampleOptions& options) {
  if (options.prior == sample::Prior::kUniform) return prior.gt(0).to(at::kDouble);
  return options.prior_temperature == 1 ? prior : prior.to(at::kDouble).pow(1 / options.prior_temperature);
}

Tensor even_rows(const Tensor& prior, const sample::SampleOptions& options, int64_t count) {
  check_shape(prior, {-1}, "prior");
  constexpr double kGolden = 0.61803398874989485;  // its fractional part
  const Tensor places = (at::arange(count, at::kDouble) + 0.5).mul(kGolden).frac();
  const Tensor ends = frequencies(prior, options).to(at::kCPU, at::kDouble).cumsum(0);
  // The end of a share belongs to the next one with a share, so conditions of frequency 0 are never told.
  return at::searchsorted(ends, places * ends[-1], /*out_int32=*/false, /*right=*/true).clamp_max(prior.size(0) - 1);
}

}  // namespace sdg::generate
