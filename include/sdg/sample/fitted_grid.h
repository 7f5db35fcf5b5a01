#pragma once
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/sample/denoiser.h"

namespace sdg::sample {

/// Where the velocity bends: |d velocity / dt| along the path of an Euler walk, root mean square over x, at the middles
/// of equal steps.
struct Bend {
  std::vector<double> times;  ///< rising, both ends: one more than `rates`
  std::vector<double> rates;
};

/// Walks from x (t = 0, images of the distribution that is drawn) to t = 1 in `steps` equal Euler steps.
Bend measure_bend(const Denoiser& denoiser, Tensor x, int64_t steps = 64);

/// steps + 1 times from 0 to 1 that share the error of Euler steps evenly: a step h costs h^2 rate / 2, whose sum is
/// least where steps are as dense as the root of the rate. Rates below a tenth of their mean count as that, so that no
/// step grows over the whole.
std::vector<double> fitted_grid(const Bend& bend, int64_t steps);

}  // namespace sdg::sample
