#include "sdg/metrics/frechet_spread.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

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

// Distances of rows [N, D] with weights to a reference. Of fewer rows than features, tr (S S_r)^(1/2) is taken from the
// [N, N] matrix of the rows' products through S_r, whose eigenvalues above 0 are the same.
class WeightedTo {
 public:
  WeightedTo(const Tensor& rows, const Gaussian& reference) : rows_(rows) {
    SDG_CHECK(rows.size(1) == reference.mu.size(0), "distance of rows: expected ", reference.mu.size(0),
              " features as the reference has, got ", rows.size(1));
    if (rows.size(0) >= rows.size(1)) {
      to_.emplace(reference);
      return;
    }
    rows_ = rows - reference.mu.to(at::kCPU, at::kDouble);
    const Tensor sigma = reference.sigma.to(at::kCPU, at::kDouble);
    products_ = at::mm(at::mm(rows_, sigma), rows_.t());
    squares_ = rows_.square().sum(1);
    trace_ = sigma.trace().item<double>();
  }

  // weights [N]: how often each row counts, N in all.
  double operator()(const Tensor& weights) const {
    const auto total = static_cast<double>(rows_.size(0));
    if (to_) return (*to_)(weighted(rows_, weights, total));
    const Tensor mean = at::mv(products_, weights) / total;  // [N], of each row's products
    const Tensor all = mean.dot(weights) / total, root = weights.sqrt();
    const Tensor centred = (products_ - mean.unsqueeze(0) - mean.unsqueeze(1) + all) * at::outer(root, root);
    const double cross = at::linalg_eigvalsh(centred / (total - 1)).clamp_min(0).sqrt().sum().item<double>();
    const double apart = (at::mv(rows_.t(), weights) / total).square().sum().item<double>();
    const double own = (squares_.dot(weights).item<double>() - total * apart) / (total - 1);
    return std::max(0.0, apart + own + trace_ - 2 * cross);
  }

  double of_all() const { return (*this)(at::ones({rows_.size(0)}, at::kDouble)); }

 private:
  Tensor rows_, products_, squares_;
  double trace_ = 0;
  std::optional<FrechetTo> to_;
};

}  // namespace

FrechetLimit frechet_limit(const Tensor& features, const Gaussian& reference, int64_t points, uint64_t seed) {
  torch::NoGradGuard no_grad;
  const auto rows = checked(features, 20, "extrapolated distance");
  SDG_CHECK(points >= 2, "extrapolated distance: expected at least 2 points, got ", points);
  const auto n = rows.size(0), least = std::min<int64_t>(5000, std::max<int64_t>(n / 10, 2));
  std::optional<FrechetTo> to;  // of as many rows as features
  if (n >= rows.size(1)) to.emplace(reference);
  FrechetLimit out;
  for (int64_t i = 0; i < points; ++i) out.counts.push_back(least + (n - least) * i / (points - 1));
  out.distances.resize(static_cast<size_t>(points));
  worker_pool().run(points, [&](int64_t i) {
    const auto count = out.counts[static_cast<size_t>(i)];
    auto chosen = rng::permutation({seed, rng::Purpose::kSubset, 1000 + static_cast<uint64_t>(i)}, n);
    chosen.resize(static_cast<size_t>(count));
    const auto own = rows.index_select(0, at::tensor(chosen));
    out.distances[static_cast<size_t>(i)] =
        count < own.size(1) ? WeightedTo(own, reference).of_all() : (*to)(gaussian_of_rows(own));
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

FrechetInterval FrechetInterval::less(double bias) const {
  auto out = *this;
  for (double* each : {&out.value, &out.low, &out.high}) *each -= bias;
  return out;
}

double frechet_bias(const Tensor& features, const Gaussian& reference) {
  torch::NoGradGuard no_grad;
  const auto rows = checked(features, 16, "bias of the distance");
  const auto n = rows.size(0);
  std::vector<Tensor> halves;
  for (const auto block : {n / 2, n / 4, n / 8}) {
    const Tensor side = at::arange(n).div(block, "floor").remainder(2);
    for (const int64_t which : {0, 1}) halves.push_back(rows.index_select(0, side.eq(which).nonzero().squeeze(1)));
  }
  double sum = 0;
  for (const auto& half : halves) sum += WeightedTo(half, reference).of_all();
  return sum / static_cast<double>(halves.size()) - WeightedTo(rows, reference).of_all();
}

Gaussian gaussian_of_rows(const Tensor& rows) {
  const auto all = checked(rows, 2, "features");
  const auto n = all.size(0);
  return weighted(all, at::ones({n}, at::kDouble), static_cast<double>(n));
}

FrechetInterval frechet_interval(const Tensor& features, const Gaussian& reference, int64_t resamples, double level,
                                 uint64_t seed) {
  torch::NoGradGuard no_grad;
  const auto rows = checked(features, 2, "interval of the distance");
  const WeightedTo to(rows, reference);
  return bootstrap(to.of_all(), rows.size(0), resamples, level, seed, [&](const Tensor& times) { return to(times); });
}

FrechetInterval frechet_difference(const Tensor& a, const Tensor& b, const Gaussian& reference, int64_t resamples,
                                   double level, uint64_t seed) {
  torch::NoGradGuard no_grad;
  const auto first = checked(a, 2, "difference of distances"), second = checked(b, 2, "difference of distances");
  SDG_CHECK(first.sizes() == second.sizes(), "difference of distances: expected as many images on both sides, got ",
            first.size(0), " and ", second.size(0));
  const WeightedTo to_first(first, reference), to_second(second, reference);
  return bootstrap(to_first.of_all() - to_second.of_all(), first.size(0), resamples, level, seed,
                   [&](const Tensor& times) { return to_first(times) - to_second(times); });
}

}  // namespace sdg::metrics
