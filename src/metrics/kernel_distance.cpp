#include "sdg/metrics/kernel_distance.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/permutation.h"
#include "sdg/core/shape.h"

namespace sdg::metrics {
namespace {

constexpr int64_t kBlock = 2048;  // rows of the kernel's matrix at a time

Tensor kernel(const Tensor& x, const Tensor& y) {
  return (x.mm(y.t()) / static_cast<double>(x.size(1)) + 1).pow(3);  // [n, m]
}

// Over all pairs of rows; a row with itself among them.
double kernel_sum(const Tensor& x, const Tensor& y) {
  double sum = 0;
  for (int64_t i = 0; i < x.size(0); i += kBlock) {
    const Tensor rows = x.slice(0, i, i + kBlock);
    for (int64_t j = 0; j < y.size(0); j += kBlock) sum += kernel(rows, y.slice(0, j, j + kBlock)).sum().item<double>();
  }
  return sum;
}

// The mean over pairs of different rows.
double mean_within(const Tensor& x) {
  const auto n = static_cast<double>(x.size(0));
  const double own = (x.square().sum(1) / static_cast<double>(x.size(1)) + 1).pow(3).sum().item<double>();
  return (kernel_sum(x, x) - own) / (n * (n - 1));
}

Tensor subset(const Tensor& x, int64_t size, const rng::Stream& stream) {
  const rng::Permutation permutation(stream, x.size(0));
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < size; ++i) rows.push_back(permutation(i));
  return x.index_select(0, at::tensor(rows).to(x.device()));
}

}  // namespace

double squared_mmd(const Tensor& x, const Tensor& y) {
  check_shape(x, {-1, -1}, "kernel distance: features");
  check_shape(y, {-1, x.size(1)}, "kernel distance: features");
  SDG_CHECK(x.size(0) >= 2 && y.size(0) >= 2, "kernel distance: expected at least 2 images on either side, got ",
            x.size(0), " and ", y.size(0));
  const Tensor a = x.to(at::kDouble), b = y.to(a.device(), at::kDouble);
  const double pairs = static_cast<double>(a.size(0)) * static_cast<double>(b.size(0));
  return mean_within(a) + mean_within(b) - 2 * kernel_sum(a, b) / pairs;
}

KernelDistance kernel_distance(const Tensor& x, const Tensor& y, const KernelDistanceOptions& options) {
  SDG_CHECK(options.subsets >= 1 && options.subset_size >= 2,
            "kernel distance: expected at least 1 subset of at least 2 images, got ", options.subsets, " of ",
            options.subset_size);
  KernelDistance out;
  out.subset_size = std::min({options.subset_size, x.size(0), y.size(0)});
  std::vector<double> distances;
  for (int64_t k = 0; k < options.subsets; ++k) {
    const auto step = static_cast<uint64_t>(2 * k);
    distances.push_back(squared_mmd(subset(x, out.subset_size, {options.seed, rng::Purpose::kSubset, step + 16}),
                                    subset(y, out.subset_size, {options.seed, rng::Purpose::kSubset, step + 17})));
    out.mean += distances.back() / static_cast<double>(options.subsets);
  }
  double squares = 0;
  for (const auto distance : distances) squares += (distance - out.mean) * (distance - out.mean);
  out.deviation = std::sqrt(squares / static_cast<double>(options.subsets));
  return out;
}

}  // namespace sdg::metrics
