#pragma once
#include "sdg/cludi/options.h"
#include "sdg/core/tensor.h"

namespace sdg::cludi {

/// Noise levels n = 0 … T - 1 of assignment embeddings: z_n = sqrt(abar_n) z_0 + sqrt(1 - abar_n) F noise, F the noise
/// factor, abar_n the product of 1 - beta up to n (Ho et al., 2006.11239, (4)).
class NoiseSchedule {
 public:
  explicit NoiseSchedule(const NoiseOptions& options, Predicts predicts = Predicts::kData);

  int64_t levels() const { return betas_.size(0); }
  double factor() const { return factor_; }
  const Tensor& betas() const { return betas_; }                    ///< float64 [T]
  const Tensor& alphas_cumprod() const { return alphas_cumprod_; }  ///< float64 [T]
  double alpha_bar(int64_t n) const { return alphas_cumprod_[n].item<double>(); }

  /// min(SNR, cap) float64 [T]; of a network that answers velocities divided by SNR + 1. Not divided by F.
  Tensor loss_weights() const;
  /// z_n of z_0 [C, B, E] and standard normal noise of its shape at the levels n int64 [C].
  Tensor noised(const Tensor& z_0, const Tensor& noise, const Tensor& n) const;
  /// The embedding that a network's answer at the levels n [C] means.
  Tensor data_of(const Tensor& answer, const Tensor& z_n, const Tensor& n) const;

 private:
  Tensor at_levels(const Tensor& values, const Tensor& n, const Tensor& like) const;  // [C, 1, 1]

  Tensor betas_, alphas_cumprod_;
  double factor_, cap_;
  Predicts predicts_;
};

/// Learning rate (or anything else) of DINO's kind: from 0 linearly to `base` over `warmup` steps, then along a cosine
/// to `end` at `total`. `step` from 0.
double cosine_with_warmup(double base, double end, int64_t warmup, int64_t total, int64_t step);

}  // namespace sdg::cludi
