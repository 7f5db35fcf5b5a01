#pragma once
#include "sdg/core/tensor.h"
#include "sdg/sample/options.h"

namespace sdg::generate {

/// How often each condition is drawn, up to a factor: the prior [K] of training as the options change it (sample.prior,
/// prior_temperature).
Tensor frequencies(const Tensor& prior, const sample::SampleOptions& options);

/// int64 [count], for Request::rows: conditions that are in any stretch of images nearly as frequent as they would be
/// on average if each were drawn by itself. Image i is told the one in whose share of [0, 1) the fractional part of
/// (i + 1/2) times the golden ratio lies (Weyl's sequence; Kuipers and Niederreiter, "Uniform distribution of
/// sequences", 1974, 2.3). For comparisons by few images, whose distances otherwise vary with how often which condition
/// happens to come. prior [K].
Tensor even_rows(const Tensor& prior, const sample::SampleOptions& options, int64_t count);

}  // namespace sdg::generate
