#pragma once
#include <vector>

#include "sdg/sample/denoiser.h"
#include "sdg/sample/options.h"

namespace sdg::sample {

struct Likelihood {
  Tensor log_density;  ///< [N] in nats, of the state at t = 1
  Tensor noise;        ///< the state at t = 0
};

/// log p(x) of images x [N, ...] by the flow's own change of volume (Chen et al., 2018): walking from t = 1 to t = 0,
/// log p(x) = log N(x_0; 0, I) - integral of div velocity dt. `probes` are signs of +-1, each like x, and the
/// divergence is the mean over them of e^T J e, unbiased (Hutchinson; one set for the whole walk, so that adaptive
/// steps see one field); none asks for the exact divergence, which costs as many backward passes as an image has
/// numbers. Solvers are those that go either way, over `grid` (rising; it is walked backwards). Needs grad mode
/// possible: no inference mode.
Likelihood log_likelihood(const SampleOptions& options, const Denoiser& denoiser, const Tensor& x,
                          const std::vector<double>& grid, const std::vector<Tensor>& probes = {});

}  // namespace sdg::sample
