#include "sdg/average/mixture.h"

#include <ATen/ops/dot.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/mv.h>

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/tensor.h"

namespace sdg::average {
namespace {

constexpr double kNoDirection = 1e-12;  // of the largest eigenvalue: below it profiles are one and the same

}  // namespace

Mixture mix(const std::vector<Profile>& kept, const Profile& wanted) {
  SDG_CHECK(!kept.empty(), "no averages to make another one of");
  const auto n = static_cast<int64_t>(kept.size());
  // Each profile over its length: recent and old, narrow and wide ones differ by orders of magnitude.
  const auto length = [](const Profile& profile) { return std::sqrt(inner(profile, profile)); };
  auto products = at::empty({n, n}, at::kDouble), with_wanted = at::empty({n}, at::kDouble),
       ones = at::empty({n}, at::kDouble);
  auto all = products.accessor<double, 2>();
  auto right = with_wanted.accessor<double, 1>(), of_sum = ones.accessor<double, 1>();
  for (int64_t i = 0; i < n; ++i) {
    const auto& a = kept[static_cast<size_t>(i)];
    for (int64_t j = 0; j < n; ++j) {
      const auto& b = kept[static_cast<size_t>(j)];
      all[i][j] = inner(a, b) / (length(a) * length(b));
    }
    right[i] = inner(a, wanted) / (length(a) * length(wanted));
    of_sum[i] = length(wanted) / length(a);
  }
  const auto [values, vectors] = at::linalg_eigh(products);
  const auto inverse = at::where(values > kNoDirection * values.max(), values.reciprocal(), at::zeros_like(values));
  const auto solve = [&](const Tensor& b) { return at::mv(vectors, inverse * at::mv(vectors.t(), b)); };
  const auto free = solve(with_wanted), along = solve(ones);
  const auto lambda = (1 - at::dot(ones, free)) / at::dot(ones, along);
  const Tensor found = free + lambda * along;

  Mixture out;
  const double squared =
      1 - 2 * at::dot(found, with_wanted).item<double>() + at::dot(found, at::mv(products, found)).item<double>();
  out.error = std::sqrt(std::max(squared, 0.0));
  const auto weights = found * ones;
  out.weights.assign(weights.const_data_ptr<double>(), weights.const_data_ptr<double>() + n);
  return out;
}

}  // namespace sdg::average
