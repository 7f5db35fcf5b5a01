#include "sdg/metrics/frechet_spread.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/rng.h"
#include "sdg/core/shape.h"

namespace sdg::metrics {
namespace {

// Rows with weights (how often each was drawn), of which the sum is `total`.
Gaussian weighted(const Tensor& rows, const Tensor& weights, double total) {
  Gaussian out;
  out.mu = at::mv(rows.t(), weights) / total;
  const Tensor centred = (rows - out.mu) * weights.sqrt().unsqueeze(1);
  out.sigma = at::mm(centred.t(), centred) / (total - 1);
  return out;
}

Tensor checked(const Tensor& features, int64_t least, const char* what) {
  check_shape(features, {-1, -1}, what);
  SDG_CHECK(features.size(0) >= least, what, ": expected at least ", least, " images, got ", features.size(0));
  return features.to(at::kCPU, at::kDouble);
}

}  // namespace

FrechetLimit frechet_limit(const Tensor& features, const Gaussian& reference, int64_t points, uint64_t seed) {
  torch::NoGradGuard no_grad;
  const auto rows = checked(features, 20, "extrapolated distance");
  SDG_CHECK(points >= 2, "extrapolated distance: expected at least 2 points, got ", points);
  const auto n = rows.size(0), least = std::min<int64_t>(5000, std::max<int64_t>(n / 10, 2));
  const FrechetTo to(reference);
  FrechetLimit out;
  for (int64_t i = 0; i < points; ++i) out.counts.push_back(least + (n - least) * i / (points - 1));
  out.distances.resize(static_cast<size_t>(points));
  worker_pool().run(points, [&](int64_t i) {
    const auto count = out.counts[static_cast<size_t>(i)];
    auto chosen = rng::permutation({seed, rng::Purpose::kSubset, 1000 + static_cast<uint64_t>(i)}, n);
    chosen.resize(static_cast<size_t>(count));
    const auto own = rows.index_select(0, at::tensor(chosen));
    out.distances[static_cast<size_t>(i)] =
        to(weighted(own, at::ones({count}, at::kDouble), static_cast<double>(count)));
  });
  double x = 0, y = 0, xx = 0, xy = 0;
  for (size_t i = 0; i < out.counts.size(); ++i) {
    const double inverse = 1.0 / static_cast<double>(out.counts[i]);
    x += inverse / static_cast<double>(points);
    y += out.distances[i] / static_cast<double>(points);
  }
  for (size_t i = 0; i < out.counts.size(); ++i) {
    const double inverse = 1.0 / static_cast<double>(out.counts[i]) - x;
    xx += inverse * inverse;
    xy += inverse * (out.distances[i] - y);
  }
  out.slope = xy / xx;
  out.value = y - out.slope * x;
  return out;
}

namespace {

// How often each of n rows is in draw b of n with repetition.
Tensor times_drawn(int64_t n, int64_t b, uint64_t seed) {
  const rng::Stream stream{seed, rng::Purpose::kSubset, 2000 + static_cast<uint64_t>(b)};
  const auto drawn = rng::uniform(stream, {0}, {n})[0].to(at::kDouble).mul(static_cast<double>(n)).to(at::kLong);
  return at::bincount(drawn.clamp_max(n - 1), {}, n).to(at::kDouble);
}

// `of(times)`: the value of resampled rows, of which `value` is that of all.
FrechetInterval bootstrap(double value, int64_t n, int64_t resamples, double level, uint64_t seed,
                          const std::function<double(const Tensor& times)>& of) {
  SDG_CHECK(resamples >= 2 && level > 0 && level < 1,
            "interval of the distance: expected at least 2 resamples and a level within (0, 1), got ", resamples,
            " and ", level);
  std::vector<double> values(static_cast<size_t>(resamples));
  worker_pool().run(resamples, [&](int64_t b) { values[static_cast<size_t>(b)] = of(times_drawn(n, b, seed)); });
  const Tensor all = std::get<0>(at::tensor(values, at::kDouble).sort(0));
  const double mean = all.mean().item<double>(), tail = (1 - level) / 2;
  FrechetInterval out;
  out.value = value;
  out.resamples = resamples;
  out.deviation = all.std(/*unbiased=*/true).item<double>();
  out.low = value + at::quantile(all, tail).item<double>() - mean;
  out.high = value + at::quantile(all, 1 - tail).item<double>() - mean;
  return out;
}

}  // namespace

Gaussian gaussian_of_rows(const Tensor& rows) {
  const auto all = checked(rows, 2, "features");
  const auto n = all.size(0);
  return weighted(all, at::ones({n}, at::kDouble), static_cast<double>(n));
}

FrechetInterval frechet_interval(const Tensor& features, const Gaussian& reference, int64_t resamples, double level,
                                 uint64_t seed) {
  torch::NoGradGuard no_grad;
  const auto rows = checked(features, 2, "interval of the distance");
  const auto n = rows.size(0);
  const FrechetTo to(reference);
  auto out = bootstrap(to(gaussian_of_rows(rows)), n, resamples, level, seed,
                       [&](const Tensor& times) { return to(weighted(rows, times, static_cast<double>(n))); });
  out.low = std::max(0.0, out.low);
  return out;
}

FrechetInterval frechet_difference(const Tensor& a, const Tensor& b, const Gaussian& reference, int64_t resamples,
                                   double level, uint64_t seed) {
  torch::NoGradGuard no_grad;
  const auto first = checked(a, 2, "difference of distances"), second = checked(b, 2, "difference of distances");
  SDG_CHECK(first.sizes() == second.sizes(), "difference of distances: expected as many images on both sides, got ",
            first.size(0), " and ", second.size(0));
  const auto n = first.size(0);
  const FrechetTo to(reference);
  return bootstrap(to(gaussian_of_rows(first)) - to(gaussian_of_rows(second)), n, resamples, level, seed,
                   [&](const Tensor& times) {
                     const auto total = static_cast<double>(n);
                     return to(weighted(first, times, total)) - to(weighted(second, times, total));
                   });
}

}  // namespace sdg::metrics
