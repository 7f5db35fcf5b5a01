#include "sdg/metrics/frechet_spread.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

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

FrechetInterval frechet_interval(const Tensor& features, const Gaussian& reference, int64_t resamples, double level,
                                 uint64_t seed) {
  torch::NoGradGuard no_grad;
  const auto rows = checked(features, 2, "interval of the distance");
  SDG_CHECK(resamples >= 2 && level > 0 && level < 1,
            "interval of the distance: expected at least 2 resamples and a level within (0, 1), got ", resamples,
            " and ", level);
  const auto n = rows.size(0);
  const FrechetTo to(reference);
  FrechetInterval out;
  out.resamples = resamples;
  out.value = to(weighted(rows, at::ones({n}, at::kDouble), static_cast<double>(n)));
  std::vector<double> distances(static_cast<size_t>(resamples));
  worker_pool().run(resamples, [&](int64_t b) {
    const rng::Stream stream{seed, rng::Purpose::kSubset, 2000 + static_cast<uint64_t>(b)};
    const auto drawn = rng::uniform(stream, {0}, {n})[0].to(at::kDouble).mul(static_cast<double>(n)).to(at::kLong);
    const auto times = at::bincount(drawn.clamp_max(n - 1), {}, n).to(at::kDouble);
    distances[static_cast<size_t>(b)] = to(weighted(rows, times, static_cast<double>(n)));
  });
  const Tensor all = std::get<0>(at::tensor(distances, at::kDouble).sort(0));
  const double mean = all.mean().item<double>(), tail = (1 - level) / 2;
  out.deviation = all.std(/*unbiased=*/true).item<double>();
  out.low = std::max(0.0, out.value + at::quantile(all, tail).item<double>() - mean);
  out.high = out.value + at::quantile(all, 1 - tail).item<double>() - mean;
  return out;
}

}  // namespace sdg::metrics
