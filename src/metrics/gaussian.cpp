#include "sdg/metrics/gaussian.h"

#include <torch/types.h>

#include <algorithm>
#include <iterator>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/tensors/npz.h"

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

Gaussian GaussianAccumulator::joined(int64_t count, Reducer& reducer) const {
  const auto options = shift_.defined() ? shift_.options() : at::TensorOptions().dtype(at::kDouble);
  Tensor mean = at::zeros({dim_}, options), squares = at::zeros({dim_, dim_}, options);
  if (count_ > 0) {
    const double n = static_cast<double>(count_);
    mean = shift_ + sum_ / n;
    squares = outer_ - at::outer(sum_, sum_) / n;  // about this rank's mean
  }
  const double share = static_cast<double>(count_) / static_cast<double>(count);
  // About the first mean that there is, so that features far from zero lose no digits here either.
  const auto means = reducer.all_gather(mean.unsqueeze(0)),
             counts = reducer.all_gather(at::full({1}, count_, at::kLong));
  const auto origin = means[counts.gt(0).to(at::kLong).argmax().item<int64_t>()];
  const auto mu = reducer.all_reduce((mean - origin) * share);  // from origin
  const auto off = mean - origin - mu;
  squares += at::outer(off, off) * static_cast<double>(count_);
  Tensor sigma = reducer.all_reduce(squares) / static_cast<double>(count - 1);
  Gaussian out;
  out.mu = (origin + mu).cpu();
  out.sigma = ((sigma + sigma.t()) / 2).cpu();
  out.count = count;
  return out;
}

Gaussian GaussianAccumulator::result(Reducer& reducer) const {
  const auto count = reducer.sum(count_);
  SDG_CHECK(count >= 2, "gaussian: a covariance needs at least 2 samples, got ", count);
  if (reducer.ranks() > 1) return joined(count, reducer);
  const double n = static_cast<double>(count_);
  Tensor sigma = (outer_ - at::outer(sum_, sum_) / n) / (n - 1);
  sigma = (sigma + sigma.t()) / 2;
  Gaussian out;
  out.mu = (shift_ + sum_ / n).cpu();
  out.sigma = sigma.cpu();
  out.count = count_;
  return out;
}

namespace {
// Messages begin with `where`; `which` is "first " or "second ", or nothing.
void check_gaussian(const Gaussian& g, const std::string& where, const char* which) {
  check_shape(g.mu, {-1}, cat(where, "mu of the ", which, "Gaussian"));
  check_shape(g.sigma, {g.mu.size(0), g.mu.size(0)}, cat(where, "sigma of the ", which, "Gaussian"));
  SDG_CHECK(at::isfinite(g.mu).all().item<bool>() && at::isfinite(g.sigma).all().item<bool>(), where, "the ", which,
            "Gaussian must be finite, got NaN or infinity");
  SDG_CHECK(g.mu.size(0) > 0, where, "the ", which, "Gaussian has no dimension");
  const double scale = g.sigma.abs().max().item<double>();
  const double skew = (g.sigma - g.sigma.t()).abs().max().item<double>();
  SDG_CHECK(skew <= 1e-5 * scale, where, "sigma of the ", which,
            "Gaussian must be symmetric, got entries that differ by ", skew);
  const double least = g.sigma.diagonal().min().item<double>();
  SDG_CHECK(least >= -1e-9 * scale, where, "sigma of the ", which, "Gaussian must be a covariance, got a variance of ",
            least);
}
}  // namespace

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  check_gaussian(a, "frechet: ", "first ");
  check_gaussian(b, "frechet: ", "second ");
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

namespace {
const char* const kTexts[] = {"extractor", "weights", "size"};

std::string& text_of(Gaussian& g, const std::string& name) {
  return name == "extractor" ? g.extractor : name == "weights" ? g.weights : g.size;
}
}  // namespace

Gaussian read_statistics(const std::filesystem::path& path) {
  const auto arrays = tensors::read_npz(path, [](const std::string& name) {
    return name == "mu" || name == "sigma" || name == "count" ||
           std::find(std::begin(kTexts), std::end(kTexts), name) != std::end(kTexts);
  });
  for (const char* name : {"mu", "sigma"}) {
    SDG_CHECK(arrays.count(name), path.string(), ": expected arrays mu and sigma, found no ", name);
  }
  Gaussian g;
  g.mu = arrays.at("mu").to(at::kDouble);
  g.sigma = arrays.at("sigma").to(at::kDouble);
  check_gaussian(g, path.string() + ": ", "");
  if (const auto count = arrays.find("count"); count != arrays.end()) {
    SDG_CHECK(count->second.numel() == 1, path.string(), ": count must be one number, got ",
              to_string(count->second.sizes()));
    g.count = std::max<int64_t>(0, count->second.to(at::kLong).item<int64_t>());
  }
  for (const auto* name : kTexts) {
    const auto found = arrays.find(name);
    if (found == arrays.end() || found->second.scalar_type() != at::kByte) continue;
    const auto bytes = found->second.contiguous();
    text_of(g, name).assign(reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>()),
                            static_cast<size_t>(bytes.numel()));
  }
  return g;
}

void write_statistics(const std::filesystem::path& path, const Gaussian& gaussian) {
  std::map<std::string, Tensor> arrays{{"mu", gaussian.mu.to(at::kDouble)}, {"sigma", gaussian.sigma.to(at::kDouble)}};
  if (gaussian.count > 0) arrays["count"] = at::scalar_tensor(gaussian.count, at::kLong);
  Gaussian known = gaussian;
  for (const auto* name : kTexts) {
    const auto& text = text_of(known, name);
    if (!text.empty())
      arrays[name] =
          at::tensor(at::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t*>(text.data()), text.size()), at::kByte);
  }
  tensors::write_npz(path, arrays);
}

}  // namespace sdg::metrics
