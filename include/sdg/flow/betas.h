#pragma once
#include "sdg/core/tensor.h"
#include "sdg/flow/prediction.h"

/// Discrete noise levels of diffusion models: z_n = sqrt(abar_n) x + sqrt(1 - abar_n) eps, n = 0 (data) … 999 (noise),
/// abar_n = the product of 1 - beta up to n (Ho et al., 2020).
namespace sdg::flow {

inline constexpr int64_t kSteps = 1000;

/// float64 [kSteps]; throws Error for a path without steps.
Tensor betas(flow::Path path);
/// abar, float64 [kSteps], falling.
Tensor alphas_cumprod(flow::Path path);

/// The number by which a network of that path knows n = 0.
double first_step(flow::Path path);

/// Noise levels between the steps: the log signal-to-noise ratio l = log(sqrt(abar) / sqrt(1 - abar)) is taken to be
/// linear between neighbouring n.
class NoiseLevels {
 public:
  explicit NoiseLevels(flow::Path path, const at::Device& device = at::kCPU);

  /// The n with log ratio l, float64, in 0 … kSteps - 1; levels beyond the ends get the end.
  Tensor step_of(const Tensor& log_ratio) const;
  /// l at the step n (between whole numbers, too), of 0 … kSteps - 1.
  double log_ratio(double n) const;
  double lowest() const { return lowest_; }    ///< l of the noisiest step
  double highest() const { return highest_; }  ///< l of the cleanest step

 private:
  Tensor levels_;  // -l of n = 0, 1, …, which rises, float64 [kSteps]
  double lowest_, highest_;
};

}  // namespace sdg::flow
