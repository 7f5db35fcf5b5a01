#include "sdg/sample/diffusion.h"

#include <cmath>
#include <numbers>

namespace sdg::sample {

double diffusion(Diffusion form, double norm, double t, double noise_share) {
  const double angle = std::numbers::pi * t;
  switch (form) {
    case Diffusion::kConstant:
      return norm;
    case Diffusion::kSbdm:
      return norm * noise_share / t;
    case Diffusion::kSigma:
      return norm * noise_share;
    case Diffusion::kLinear:
      return norm * (1 - t);
    case Diffusion::kDecreasing:
      return 0.25 * std::pow(norm * std::cos(angle) + 1, 2);
    case Diffusion::kIncreasingDecreasing:
      return norm * std::pow(std::sin(angle), 2);
  }
  return 0;
}

}  // namespace sdg::sample
