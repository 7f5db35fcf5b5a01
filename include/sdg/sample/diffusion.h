#pragma once
#include "sdg/sample/options.h"

namespace sdg::sample {

/// w(t) of the flow's SDE, dx = (velocity + w score) dt + sqrt(2 w) dW, which has the densities of the flow at every t
/// for every w >= 0 (SiT, arXiv 2401.08740, section 2.3). `noise_share` is sigma(t) = 1 - (1 - s) t. kSbdm, the
/// diffusion of the path's own forward process, is sigma / t: infinite at t = 0.
double diffusion(Diffusion form, double norm, double t, double noise_share);

}  // namespace sdg::sample
