#pragma once
#include <cstdint>
#include <vector>

#include "sdg/metrics/gaussian.h"

/// How far a Fréchet distance is to be trusted: it is biased by the number of images, and it varies with them.
namespace sdg::metrics {

struct FrechetLimit {
  double value = 0;               ///< at 1 / N = 0
  double slope = 0;               ///< of the distance over 1 / N
  std::vector<int64_t> counts;    ///< of images, ascending
  std::vector<double> distances;  ///< of a random subset of each size, keyed by the seed
};

/// FID∞ in Inception's features (Chong & Forsyth, "Effectively unbiased FID and Inception Score", 2020): a line by
/// least squares through distances over 1 / N, `points` sizes evenly spaced from min(5000, max(N / 10, 2)) to N, as
/// dgm-eval takes them. features [N, D]. Throws Error for fewer than 20 rows or 2 points. Sizes below D give matrices
/// without full rank, whose distances do not lie on a line: the caller says so.
FrechetLimit frechet_limit(const Tensor& features, const Gaussian& reference, int64_t points = 15, uint64_t seed = 0);

struct FrechetInterval {
  double value = 0;      ///< the distance of all rows
  double low = 0;        ///< quantiles of the distances of resampled rows, (1 - level) / 2 on either side, laid
  double high = 0;       ///< about the value: resampling has a bias of its own, which is taken out
  double deviation = 0;  ///< of the resampled distances
  double bias = 0;       ///< by how much their mean is above the value: resampled rows are to the rows as these are to
                         ///< all that could be drawn, so about as much the value is above that of infinitely many
  int64_t resamples = 0;

  /// Value and interval less the bias (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, 10.6), to compare
  /// what differs in it. May be below 0. Of fewer rows than features too much is left, of the same order for all.
  FrechetInterval without_bias() const;
};

/// Bootstrap (Efron 1979) over the rows of features [N, D]: draws of N with repetition, keyed by the seed. The interval
/// holds for other images of the same N; its low end may be below 0. With fewer rows than features each draw costs N^3
/// and not D^3. Throws Error for fewer than 2 rows or 2 resamples, a level outside (0, 1), another D.
FrechetInterval frechet_interval(const Tensor& features, const Gaussian& reference, int64_t resamples = 100,
                                 double level = 0.95, uint64_t seed = 0);

/// The distance of `a` less that of `b`, rows of the same images drawn in two ways, [N, D] each: both are resampled
/// together, so what the images have in common drops out.
FrechetInterval frechet_difference(const Tensor& a, const Tensor& b, const Gaussian& reference, int64_t resamples = 100,
                                   double level = 0.95, uint64_t seed = 0);

/// Mean and covariance of rows [N, D], N at least 2, in float64.
Gaussian gaussian_of_rows(const Tensor& rows);

}  // namespace sdg::metrics
