#pragma once
#include <cstdint>

#include "sdg/core/tensor.h"

/// Kernel (Inception) distance, KID in Inception's features: Binkowski et al., "Demystifying MMD GANs", ICLR 2018.
namespace sdg::metrics {

/// Unbiased estimate of the squared maximum mean discrepancy of x [n, D] and y [m, D] under the kernel
/// (x y / D + 1)^3: sum_{i != j} k(x_i, x_j) / (n (n - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1))
/// - 2 mean k(x_i, y_j), in float64 and blocks of rows. It may be negative. Throws Error for fewer than two rows or
/// other widths.
double squared_mmd(const Tensor& x, const Tensor& y);

struct KernelDistanceOptions {
  int64_t subsets = 100;
  int64_t subset_size = 1000;  ///< rows of each set, without repetition; fewer where a set has fewer
  uint64_t seed = 0;           ///< of the subsets
};

struct KernelDistance {
  double mean = 0;          ///< of squared_mmd over the subsets
  double deviation = 0;     ///< population deviation over them, as torchmetrics gives it
  int64_t subset_size = 0;  ///< that was taken
};

/// As torch-fidelity and torchmetrics take it, with subsets keyed by (seed, number).
KernelDistance kernel_distance(const Tensor& x, const Tensor& y, const KernelDistanceOptions& options = {});

}  // namespace sdg::metrics
