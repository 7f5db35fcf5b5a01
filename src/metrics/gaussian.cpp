#include "sdg/metrics/gaussian.h"

#include <torch/types.h>

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/io/npz.h"

namespace sdg::metrics {

GaussianAccumulator::GaussianAccumulator(int64_t dim) : dim_(dim) {
  SDG_CHECK(dim > 0, "gaussian: the dimension must be positive, got ", dim);
}

void GaussianAccumulator::add(const Tensor& features) {
  check_shape(features, {-1, dim_}, "gaussian: features");
  if (features.size(0) == 0) return;
  torch::NoGradGuard no_grad;
  Tensor x = features.to(at::kDouble);  // [N, D]
  SDG_CHECK(at::isfinite(x).all().item<bool>(), "gaussian: features must be finite, got NaN or infinity in sample ",
            count_, " or later");
  if (!shift_.defined()) {
    shift_ = x.mean(0);
    sum_ = at::zeros_like(shift_);
    outer_ = at::zeros({dim_, dim_}, x.options());
  }
  x = x.to(shift_.device()) - shift_;
  sum_ += x.sum(0);
  outer_.addmm_(x.t(), x);
  count_ += x.size(0);
}

Gaussian GaussianAccumulator::result() const {
  SDG_CHECK(count_ >= 2, "gaussian: a covariance needs at least 2 samples, got ", count_);
  const double n = static_cast<double>(count_);
  Tensor sigma = (outer_ - at::outer(sum_, sum_) / n) / (n - 1);
  sigma = (sigma + sigma.t()) / 2;
  return {(shift_ + sum_ / n).cpu(), sigma.cpu(), count_};
}

namespace {
void check_gaussian(const Gaussian& g, const char* which) {
  check_shape(g.mu, {-1}, cat("frechet: mu of the ", which, " Gaussian"));
  check_shape(g.sigma, {g.mu.size(0), g.mu.size(0)}, cat("frechet: sigma of the ", which, " Gaussian"));
  SDG_CHECK(at::isfinite(g.mu).all().item<bool>() && at::isfinite(g.sigma).all().item<bool>(), "frechet: the ", which,
            " Gaussian must be finite, got NaN or infinity");
  const double scale = g.sigma.abs().max().item<double>();
  const double skew = (g.sigma - g.sigma.t()).abs().max().item<double>();
  SDG_CHECK(skew <= 1e-5 * scale, "frechet: sigma of the ", which,
            " Gaussian must be symmetric, got entries that differ by ", skew);
}
}  // namespace

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  check_gaussian(a, "first");
  check_gaussian(b, "second");
  SDG_CHECK(a.mu.size(0) == b.mu.size(0), "frechet: both Gaussians must have the same dimension, got ", a.mu.size(0),
            " and ", b.mu.size(0));
  torch::NoGradGuard no_grad;
  const Tensor mu_a = a.mu.to(at::kDouble), mu_b = b.mu.to(at::kDouble).to(mu_a.device());
  const Tensor s_a = a.sigma.to(at::kDouble).to(mu_a.device()), s_b = b.sigma.to(at::kDouble).to(mu_a.device());
  // S_a = R R^T with R = U sqrt(l); R^T S_b R has the eigenvalues of S_a S_b. Eigenvalues below zero are rounding.
  const auto [l, u] = at::linalg_eigh(s_a);
  const Tensor root = u * l.clamp_min(0).sqrt();         // [D, D]
  Tensor product = at::mm(root.t(), at::mm(s_b, root));  // [D, D]
  product = (product + product.t()) / 2;
  const double cross = at::linalg_eigvalsh(product).clamp_min(0).sqrt().sum().item<double>();
  const double distance =
      (mu_a - mu_b).square().sum().item<double>() + s_a.trace().item<double>() + s_b.trace().item<double>() - 2 * cross;
  return std::max(distance, 0.0);
}

Gaussian read_statistics(const std::filesystem::path& path) {
  const auto arrays = io::read_npz(path);
  for (const char* name : {"mu", "sigma"}) {
    SDG_CHECK(arrays.count(name), path.string(), ": expected arrays mu and sigma, found no ", name);
  }
  Gaussian g{arrays.at("mu").to(at::kDouble), arrays.at("sigma").to(at::kDouble), 0};
  check_shape(g.mu, {-1}, path.string() + ": mu");
  check_shape(g.sigma, {g.mu.size(0), g.mu.size(0)}, path.string() + ": sigma");
  return g;
}

void write_statistics(const std::filesystem::path& path, const Gaussian& gaussian) {
  io::write_npz(path, {{"mu", gaussian.mu.to(at::kDouble)}, {"sigma", gaussian.sigma.to(at::kDouble)}});
}

}  // namespace sdg::metrics
