#pragma once
#include <array>

#include "sdg/core/tensor.h"
#include "sdg/flow/prediction.h"

namespace sdg::flow {

/// In which space a prediction's error is squared.
enum class LossSpace {
  kPredicted,  ///< its own; a score counts as the noise that it stands for, which has unit scale
  kVelocity,   ///< of the network's own path (flow::Target::kVelocity)
  kNoise,
  kData,
  kMinSnr,  ///< the data, times the signal-to-noise ratio up to a cap (Hang et al., arXiv 2303.09556)
};
constexpr auto names_of(LossSpace) {
  return std::array{"predicted", "velocity", "noise", "data", "min_snr"};
}

/// Least share of noise or data that a loss divides by (arXiv 2511.13720 keeps 1 - t above it).
inline constexpr double kLossFloor = 0.05;
/// Largest weight of kMinSnr, as its authors take it.
inline constexpr double kSnrCap = 5;

/// At one point z = a x + b eps of a path all predictions are affine in one another, so that an error d of one is an
/// error r d of another, with r a function of the place alone:
///
///   dx = d,   d_eps = -(a / b) d,   d_velocity = d / b,   d_score = (a / b^2) d          for an error d of the data.
///
/// The squared error in `space` is therefore the prediction's own times r^2, [N]; undefined where that is 1. a, b [N,
/// 1, 1, 1] are the shares of data and noise. Of the data with the loss on the velocity, r^2 = 1 / b^2, which is the
/// error of v = (x - x_t) / (1 - t). Where r divides by a or b, these are taken to be at least `floor`. kMinSnr is that
/// of the data times min(a^2 / b^2, cap): of a noise min(1, cap b^2 / a^2), their equation for it.
Tensor loss_weight(Target predicted, LossSpace space, const Tensor& a, const Tensor& b, double floor = kLossFloor,
                   double cap = kSnrCap);

}  // namespace sdg::flow
