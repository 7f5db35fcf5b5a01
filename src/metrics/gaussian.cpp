#include "sdg/metrics/gaussian.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/core/text.h"
#include "sdg/tensors/npz.h"
#include "sdg/tensors/weights.h"

namespace sdg::metrics {

namespace {
constexpr int64_t kBlock = 128;  // rows that are summed together
}  // namespace

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
  if (shift_.defined()) x = x.to(shift_.device());
  count_ += x.size(0);
  while (pending_rows_ + x.size(0) >= kBlock) {
    pending_.push_back(x.slice(0, 0, kBlock - pending_rows_));
    x = x.slice(0, kBlock - pending_rows_);
    add_block(at::cat(pending_));
    pending_.clear();
    pending_rows_ = 0;
  }
  if (x.size(0) == 0) return;
  pending_.push_back(x);
  pending_rows_ += x.size(0);
}

void GaussianAccumulator::add_block(const Tensor& rows) {
  if (!shift_.defined()) {
    shift_ = rows.mean(0);
    sum_ = at::zeros_like(shift_);
    outer_ = at::zeros({dim_, dim_}, rows.options());
  }
  const Tensor x = rows - shift_;  // [n, D]
  sum_ += x.sum(0);
  outer_.addmm_(x.t(), x);
}

Gaussian GaussianAccumulator::result() const {
  if (pending_rows_ > 0) {
    torch::NoGradGuard no_grad;
    GaussianAccumulator whole = *this;  // more may be added to this one
    if (outer_.defined()) {
      whole.sum_ = sum_.clone();
      whole.outer_ = outer_.clone();
    }
    whole.add_block(at::cat(pending_));
    whole.pending_.clear();
    whole.pending_rows_ = 0;
    return whole.result();
  }
  SDG_CHECK(count_ >= 2, "gaussian: a covariance needs at least 2 samples, got ", count_);
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

// R of S = R R^T. Cholesky's is quicker and loses fewer digits of small eigenvalues, but is one for full rank only;
// else R = U sqrt(l), of the eigenvalues that are more than rounding.
struct Factor {
  Tensor root;  // [D, D]
  bool full_rank = false;
};
Factor factor_of(const Tensor& sigma, const char* which) {
  constexpr double kRounding = 16 * std::numeric_limits<double>::epsilon();
  constexpr double kStored = 1e-3;  // float16 rounds so much, and more is no rounding
  const auto [lower, failed] = at::linalg_cholesky_ex(sigma);
  if (failed.item<int>() == 0) {
    const double least = lower.diagonal().square().min().item<double>();
    if (least > kRounding * sigma.diagonal().max().item<double>()) return {lower, true};
  }
  const auto [l, u] = at::linalg_eigh(sigma);
  const double least = l.min().item<double>();
  SDG_CHECK(least >= -kStored * l.max().item<double>(), "frechet: sigma of the ", which,
            "Gaussian must be a covariance, got an eigenvalue of ", least);
  return {u * at::where(l.gt(kRounding * l.max()), l, 0).sqrt(), false};
}
}  // namespace

FrechetTo::FrechetTo(Gaussian reference) : reference_(std::move(reference)) {
  check_gaussian(reference_, "frechet: ", "first ");
  torch::NoGradGuard no_grad;
  reference_.mu = reference_.mu.to(at::kDouble);
  reference_.sigma = reference_.sigma.to(reference_.mu.device(), at::kDouble);
  const auto factor = factor_of(reference_.sigma, "first ");
  root_ = factor.root;
  full_rank_ = factor.full_rank;
}

// With S_a = R_a R_a^T and S_b = R_b R_b^T the eigenvalues of S_a S_b are those of R_a^T S_b R_a, and the squares of
// the singular values of R_a^T R_b. The first are quicker; but what is zero comes out as rounding, whose roots are no
// longer small (a hundred of 1e-16 are 1e-6), so where a rank is not full it is the second.
Tensor FrechetTo::squares_of_cross(const Tensor& sigma) const {
  const auto factor = factor_of(sigma, "second ");
  if (!full_rank_ || !factor.full_rank) return at::linalg_svdvals(at::mm(root_.t(), factor.root)).square();
  const Tensor product = at::mm(root_.t(), at::mm(sigma, root_));  // [D, D]
  return at::linalg_eigvalsh((product + product.t()) / 2);
}

double FrechetTo::operator()(const Gaussian& other) const {
  return apart(other).distance;
}

Frechet FrechetTo::apart(const Gaussian& other) const {
  const auto& a = reference_;
  check_gaussian(other, "frechet: ", "second ");
  SDG_CHECK(a.mu.size(0) == other.mu.size(0), "frechet: both Gaussians must have the same dimension, got ",
            a.mu.size(0), " and ", other.mu.size(0));
  torch::NoGradGuard no_grad;
  const Tensor mu = other.mu.to(a.mu.device(), at::kDouble), sigma = other.sigma.to(a.mu.device(), at::kDouble);
  const Tensor values = squares_of_cross(sigma);  // [D]
  const double cross = values.clamp_min(0).sqrt().sum().item<double>();
  const double distance = (a.mu - mu).square().sum().item<double>() + a.sigma.trace().item<double>() +
                          sigma.trace().item<double>() - 2 * cross;
  const double trace = at::dot(a.sigma.flatten(), sigma.flatten()).item<double>();  // of S_a S_b
  const double missed = std::abs(values.sum().item<double>() - trace) - 2 * values.clamp_max(0).sum().item<double>();
  SDG_CHECK(std::isfinite(distance), "frechet: the distance is no finite number: a mean of ",
            a.mu.abs().max().item<double>(), " and one of ", mu.abs().max().item<double>());
  return {std::max(distance, 0.0), trace > 0 ? missed / trace : 0};
}

double frechet_distance(const Gaussian& a, const Gaussian& b) {
  return FrechetTo(a)(b);
}
Frechet frechet(const Gaussian& a, const Gaussian& b) {
  return FrechetTo(a).apart(b);
}

namespace {
const char* const kTexts[] = {"extractor", "weights", "size"};

std::string& text_of(Gaussian& g, const std::string& name) {
  return name == "extractor" ? g.extractor : name == "weights" ? g.weights : g.size;
}

std::map<std::string, Tensor> read_arrays(const std::filesystem::path& path) {
  if (path.extension() != ".npz") return tensors::read_weights(path).tensors;
  return tensors::read_npz(path, [](const std::string& name) {
    return name == "mu" || name == "sigma" || name == "count" ||
           std::find(std::begin(kTexts), std::end(kTexts), name) != std::end(kTexts);
  });
}

// Of several networks' statistics ("fid.mu") those of `part`, without its name.
std::map<std::string, Tensor> part_of(std::map<std::string, Tensor> arrays, const std::string& part,
                                      const std::string& where) {
  std::vector<std::string> parts;
  for (const auto& [name, unused] : arrays)
    if (name.ends_with(".mu")) parts.push_back(name.substr(0, name.size() - 3));
  if (arrays.count("mu") || parts.empty()) return arrays;
  SDG_CHECK(std::find(parts.begin(), parts.end(), part) != parts.end(), where, ": holds the statistics of ",
            join(parts), part.empty() ? ", and none under the name of this network" : cat(", not of ", part));
  std::map<std::string, Tensor> out;
  for (auto& [name, tensor] : arrays)
    if (name.starts_with(part + ".")) out[name.substr(part.size() + 1)] = tensor;
  return out;
}

// Of a file that holds features and no statistics of them.
Gaussian of_features(const std::filesystem::path& path) {
  const auto stored = read_rows(path);
  SDG_CHECK(stored, path.string(), ": expected arrays mu and sigma, or features");
  GaussianAccumulator sums(stored->features.size(1));
  sums.add(stored->features);
  return sums.result();
}

}  // namespace

Gaussian read_statistics(const std::filesystem::path& path, const std::string& part) {
  const auto arrays = part_of(read_arrays(path), part, path.string());
  Gaussian g;
  if (!arrays.count("mu") && !arrays.count("sigma") && path.extension() == ".npz") {
    g = of_features(path);
  } else {
    for (const char* name : {"mu", "sigma"}) {
      SDG_CHECK(arrays.count(name), path.string(), ": expected arrays mu and sigma, found no ", name);
    }
    for (const char* name : {"mu", "sigma"})
      SDG_CHECK(!arrays.at(name).is_complex(), path.string(), ": ", name, " must be real, got ",
                arrays.at(name).scalar_type());
    g.mu = arrays.at("mu").to(at::kDouble);
    g.sigma = arrays.at("sigma").to(at::kDouble);
  }
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

std::optional<Gaussian> read_spatial_statistics(const std::filesystem::path& path) {
  const auto arrays =
      tensors::read_npz(path, [](const std::string& name) { return name == "mu_s" || name == "sigma_s"; });
  if (!arrays.count("mu_s") || !arrays.count("sigma_s")) return std::nullopt;
  Gaussian g;
  g.mu = arrays.at("mu_s").to(at::kDouble);
  g.sigma = arrays.at("sigma_s").to(at::kDouble);
  check_gaussian(g, path.string() + ": spatial ", "");
  return g;
}

std::optional<StoredRows> read_rows(const std::filesystem::path& path) {
  if (path.extension() != ".npz") return std::nullopt;
  const auto arrays =
      tensors::read_npz(path, [](const std::string& name) { return name == "features" || name == "logits"; });
  StoredRows out;
  for (const auto& [name, rows] : arrays) {
    check_shape(rows, {-1, -1}, cat(path.string(), ": ", name));
    SDG_CHECK(rows.is_floating_point() && at::isfinite(rows).all().item<bool>(), path.string(), ": ", name,
              " must be finite floating-point numbers");
    (name == "logits" ? out.logits : out.features) = rows.to(at::kFloat);
  }
  if (!out.features.defined()) return std::nullopt;
  SDG_CHECK(!out.logits.defined() || out.logits.size(0) == out.features.size(0), path.string(), ": ",
            out.features.size(0), " rows of features and ", out.logits.size(0), " of logits");
  return out;
}

void write_statistics(const std::filesystem::path& path, const Gaussian& gaussian,
                      const std::optional<Gaussian>& spatial, const StoredRows& rows) {
  std::map<std::string, Tensor> arrays{{"mu", gaussian.mu.to(at::kDouble)}, {"sigma", gaussian.sigma.to(at::kDouble)}};
  if (gaussian.count > 0) arrays["count"] = at::scalar_tensor(gaussian.count, at::kLong);
  Gaussian known = gaussian;
  for (const auto* name : kTexts) {
    const auto& text = text_of(known, name);
    if (!text.empty())
      arrays[name] =
          at::tensor(at::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t*>(text.data()), text.size()), at::kByte);
  }
  if (spatial) {
    arrays["mu_s"] = spatial->mu.to(at::kDouble);
    arrays["sigma_s"] = spatial->sigma.to(at::kDouble);
  }
  if (rows.features.defined()) arrays["features"] = rows.features;
  if (rows.logits.defined()) arrays["logits"] = rows.logits;
  tensors::write_npz(path, arrays);
}

}  // namespace sdg::metrics
