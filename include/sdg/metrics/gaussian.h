#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"
#include "sdg/metrics/features.h"

namespace sdg::metrics {
/// Mean and sample covariance (divided by n - 1) of features, float64, and what is known of where they come from.
struct Gaussian {
  Tensor mu;              ///< [D]
  Tensor sigma;           ///< [D, D]
  int64_t count = 0;      ///< samples seen; 0 if unknown
  std::string extractor;  ///< name of the network whose features they are; "" if unknown
  std::string weights;    ///< digest of its weights; "" if unknown
  std::string size;       ///< of the images, height before width: "32x32", "mixed"; "" if unknown
};

/// Accumulates features batch by batch. Sums are float64, of blocks of rows in the order in which they came, so that no
/// bit depends on the batches; and they are taken about the first block's mean, so that features far from zero lose no
/// digits.
class GaussianAccumulator : public FeatureSink {
 public:
  explicit GaussianAccumulator(int64_t dim);
  /// [N, D], any float type and device. Throws Error for non-finite features.
  void add(const Tensor& features) override;
  /// Of the features so far; on the CPU. Throws Error for fewer than two samples.
  Gaussian result() const;
  int64_t count() const { return count_; }

 private:
  void add_block(const Tensor& rows);

  int64_t dim_;
  Tensor sum_, outer_, shift_;   // [D], [D, D], [D]; on the device of the first batch
  std::vector<Tensor> pending_;  // rows that fill no block yet
  int64_t count_ = 0, pending_rows_ = 0;
};

/// |mu1-mu2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), through a symmetric eigendecomposition in float64
/// (tr (S1 S2)^(1/2) = sum of the square roots of the eigenvalues of R^T S2 R, where S1 = R R^T; Dowson & Landau 1982);
/// where a covariance is not of full rank, through the singular values of R1^T R2, whose sum it is.
/// Never negative. Throws Error if the two do not have the same dimension or a covariance is not symmetric.
double frechet_distance(const Gaussian& a, const Gaussian& b);

struct Frechet {
  double distance = 0;
  /// Of the decomposition, relative to tr S1 S2: by how much the eigenvalues' sum misses it, and what of them is below
  /// zero. 0 but for rounding.
  double residual = 0;
};
Frechet frechet(const Gaussian& a, const Gaussian& b);

/// The same of many Gaussians to one, whose matrix is decomposed once.
class FrechetTo {
 public:
  explicit FrechetTo(Gaussian reference);
  double operator()(const Gaussian& other) const;
  Frechet apart(const Gaussian& other) const;

 private:
  Tensor squares_of_cross(const Tensor& sigma) const;

  Gaussian reference_;
  Tensor root_;  // [D, D]
  bool full_rank_ = false;
};

/// Statistics as pytorch-fid, ADM's evaluator and EDM store them, npz with `mu` and `sigma` (ADM's also `mu_s` and
/// `sigma_s`: `spatial`), and torch files with the two, as torch-fidelity keeps them; pickles of several networks'
/// (EDM2: `fid`, `fd_dinov2`), of which `part` names one. Ours are npz and hold besides
/// `count` (int64) and, as text in uint8, `extractor`, `weights` and `size`; what a file does not say is unknown.
/// Of an npz with `features` and neither, theirs. Further arrays are not read. Throws Error, beginning with the path,
/// for statistics that are no mean and covariance: other shapes, values that are not finite, a covariance that is not
/// symmetric or has a negative variance.
Gaussian read_statistics(const std::filesystem::path& path, const std::string& part = "");

/// Features image by image, which an npz may hold beside the statistics: float32.
struct StoredRows {
  Tensor features;  ///< [N, D]
  Tensor logits;    ///< [N, classes], or nothing
};
/// Nothing where the file holds no `features`. Throws Error for other shapes, values that are not finite, and unequal
/// numbers of rows.
std::optional<StoredRows> read_rows(const std::filesystem::path& path);

/// An npz as read_statistics, read_spatial_statistics and read_rows take it.
void write_statistics(const std::filesystem::path& path, const Gaussian& gaussian,
                      const std::optional<Gaussian>& spatial = {}, const StoredRows& rows = {});

/// The Gaussian of Inception's spatial features as ADM's files hold it: `mu_s` and `sigma_s`. Nothing where there are
/// none.
std::optional<Gaussian> read_spatial_statistics(const std::filesystem::path& path);
}  // namespace sdg::metrics
