#pragma once
// A flow whose answers are known.
#include "sdg/sample/denoiser.h"

namespace sdg::test {

/// The perfect network for data N(mean, std^2), each value alone, s = 0.
inline sample::Denoiser gaussian_flow(double mean, double std) {
  return sample::Denoiser(
      [mean, std](const Tensor& x, double t) {
        const double variance = t * t * std * std + (1 - t) * (1 - t);
        return mean + (t * std * std - (1 - t)) / variance * (x - t * mean);
      },
      0);
}

}  // namespace sdg::test
