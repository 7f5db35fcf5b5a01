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
  int64_t resamples = 0;

  FrechetInterval less(double bias) const;  ///< value and ends
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

/// About what so few images add to a distance, to compare settings in which it differs: halves of them add as much once
/// more, so it is the mean distance of halves less that of all (Quenouille's jackknife, 1956). Halves are every other
/// block of N / 2, N / 4 and N / 8 rows: what comes in even turns along the rows comes so in them. Below D rows it is
/// less than the truth. Rows [N, D], at least 16.
double frechet_bias(const Tensor& features, const Gaussian& reference);

/// Mean and covariance of rows [N, D], N at least 2, in float64.
Gaussian gaussian_of_rows(const Tensor& rows);

}  // namespace sdg::metrics
