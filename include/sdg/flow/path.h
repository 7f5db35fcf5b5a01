#pragma once
#include "sdg/core/tensor.h"

/// The constant-velocity (rectified-flow) path, t = 0 noise, t = 1 data (arXiv 2312.08825; 2209.03003):
///   x_t = t x + (1 - (1 - s) t) eps,   velocity = x - (1 - s) eps,   s = sigma_min.
namespace sdg::flow {

inline constexpr double kSigmaMin = 1e-4;

struct PathSample {
  Tensor x_t;       ///< [N, C, H, W]
  Tensor velocity;  ///< [N, C, H, W] = d x_t / dt
};

/// x, eps [N, C, H, W] (or any [N, ...]); t [N] in [0, 1], or one value for the whole batch.
/// Throws Error where shapes disagree, as do the functions below.
PathSample constant_velocity(const Tensor& x, const Tensor& eps, const Tensor& t, double sigma_min = kSigmaMin);

/// The three other predictions that a velocity at (x_t, t) stands for; exact for the path above.
Tensor data_from_velocity(const Tensor& velocity, const Tensor& x_t, const Tensor& t, double sigma_min = kSigmaMin);
Tensor noise_from_velocity(const Tensor& velocity, const Tensor& x_t, const Tensor& t);
Tensor score_from_velocity(const Tensor& velocity, const Tensor& x_t, const Tensor& t, double sigma_min = kSigmaMin);

/// Back from a noise prediction (t > 0) and from a data prediction.
Tensor velocity_from_noise(const Tensor& eps, const Tensor& x_t, const Tensor& t);
Tensor velocity_from_data(const Tensor& x, const Tensor& x_t, const Tensor& t, double sigma_min = kSigmaMin);

/// Mean squared error of each sample, [N].
Tensor velocity_loss(const Tensor& predicted, const Tensor& target);

}  // namespace sdg::flow
