#include "sdg/metrics/probes.h"

#include <algorithm>
#include <cmath>

#include "metrics/lbfgs_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/core/unit_rows.h"

namespace sdg::metrics {
namespace {

constexpr int64_t kBlock = int64_t{1} << 22;  // entries of a block of similarities or of columns

void check_rows(const Tensor& features, const Tensor& labels, const std::string& who) {
  check_shape(features, {-1, -1}, who + ": features");
  check_shape(labels, {features.size(0)}, who + ": labels");
  SDG_CHECK(labels.scalar_type() == at::kLong && features.size(0) > 0, who,
            ": expected int64 labels of at least one row");
  SDG_CHECK(features.isfinite().all().item<bool>(), who, ": features must be finite");
}

Tensor knn(const Tensor& features, const Tensor& labels, const Tensor& queries, const KnnOptions& options,
           bool leave_one_out) {
  const at::NoGradGuard no_grad;
  check_rows(features, labels, "k-NN");
  check_shape(queries, {-1, features.size(1)}, "k-NN: queries");
  SDG_CHECK(options.neighbours >= 1 && options.temperature > 0, "k-NN: expected k >= 1 and a temperature > 0, got ",
            options.neighbours, " and ", options.temperature);
  const int64_t n = features.size(0), k = std::min(options.neighbours, n - (leave_one_out ? 1 : 0));
  SDG_CHECK(k >= 1, "k-NN: leaving one out of ", n, " rows leaves nothing");
  const int64_t classes = labels.max().item<int64_t>() + 1;
  const auto keys = unit_rows(features.to(at::kFloat)).t();  // [F, N]
  const int64_t rows = std::max<int64_t>(1, kBlock / std::max(n, classes));
  std::vector<Tensor> named;
  for (int64_t begin = 0; begin < queries.size(0); begin += rows) {
    auto cosine = unit_rows(queries.slice(0, begin, begin + rows).to(at::kFloat)).mm(keys);  // [m, N]
    if (leave_one_out)
      cosine.narrow(1, begin, cosine.size(0)).diagonal().fill_(-std::numeric_limits<float>::infinity());
    const auto [value, index] = cosine.topk(k, 1);  // [m, k]
    const auto weight = value.to(at::kDouble).div(options.temperature).softmax(1);
    auto votes = at::zeros({cosine.size(0), classes}, weight.options());
    votes.scatter_add_(1, labels.index_select(0, index.flatten()).view(index.sizes()), weight);
    named.push_back(votes.argmax(1));
  }
  return named.empty() ? at::empty({0}, labels.options()) : at::cat(named);
}

// Labels as numbers of the training classes; -1 for others.
Tensor as_positions(const Tensor& labels, const Tensor& classes) {
  const auto at_or_after = at::searchsorted(classes, labels).clamp_max(classes.size(0) - 1);
  return at::where(classes.index_select(0, at_or_after).eq(labels), at_or_after, at::full_like(labels, -1));
}

struct Problem {
  Tensor train, test;  // float64, standardised by the training rows
};

// Each column at mean 0 and deviation 1 over the training rows; constant columns at 0.
Problem standardised(const Tensor& train, const Tensor& test) {
  const auto rows = train.to(at::kDouble);
  const auto mean = rows.mean(0), centred_square = (rows - mean).square().mean(0);
  const auto constant = train.amax(0).eq(train.amin(0));
  const auto scale = at::where(constant, at::zeros_like(mean), centred_square.rsqrt());
  return {(rows - mean).mul_(scale), (test.to(at::kDouble) - mean).mul_(scale)};
}

Problem problem_of(const Tensor& train, const Tensor& test) {
  const auto n = train.size(0);
  if (train.size(1) <= 2 * n) return standardised(train, test);
  // The best W is a combination of training rows, so any isometric coordinates of their span will do: those of the
  // eigenvectors of their inner products. Columns are standardised as they come.
  const auto options = train.options().dtype(at::kDouble);
  auto inner = at::zeros({n, n}, options), cross = at::zeros({test.size(0), n}, options);
  const int64_t columns = std::max<int64_t>(1, kBlock / (n + test.size(0)));
  for (int64_t begin = 0; begin < train.size(1); begin += columns) {
    const auto part = standardised(train.slice(1, begin, begin + columns), test.slice(1, begin, begin + columns));
    inner.addmm_(part.train, part.train.t());
    cross.addmm_(part.test, part.train.t());
  }
  const auto [value, vector] = at::linalg_eigh(inner);  // ascending
  const auto kept = value.gt(value.max() * 1e-12 * static_cast<double>(n)).nonzero().squeeze(1);
  const auto length = value.index_select(0, kept).sqrt(), axes = vector.index_select(1, kept);
  return {axes * length, cross.mm(axes / length)};
}

double share_right(const Tensor& logits, const Tensor& positions) {
  return logits.argmax(1).eq(positions).to(at::kDouble).mean().item<double>();
}

}  // namespace

Tensor knn_predict(const Tensor& features, const Tensor& labels, const Tensor& queries, const KnnOptions& options) {
  return knn(features, labels, queries, options, false);
}

Tensor knn_leave_one_out(const Tensor& features, const Tensor& labels, const KnnOptions& options) {
  return knn(features, labels, features, options, true);
}

LinearProbe linear_probe(const Tensor& train, const Tensor& train_labels, const Tensor& test, const Tensor& test_labels,
                         const LinearProbeOptions& options) {
  const at::NoGradGuard no_grad;
  check_rows(train, train_labels, "linear probe");
  check_rows(test, test_labels, "linear probe");
  check_shape(test, {-1, train.size(1)}, "linear probe: test features");
  SDG_CHECK(options.strength > 0, "linear probe: C must be above 0, got ", options.strength);
  const auto classes = std::get<0>(at::_unique(train_labels, /*sorted=*/true));
  SDG_CHECK(classes.size(0) >= 2, "linear probe: the training rows are of one class only");
  const auto y = as_positions(train_labels, classes), test_y = as_positions(test_labels, classes);
  const auto [x, test_x] = problem_of(train, test);
  const auto n = x.size(0), width = x.size(1);
  const double penalty = 1 / (options.strength * static_cast<double>(n));

  const auto logits = [&](const Tensor& rows, const Tensor& parameters) {  // parameters [F + 1, K], the last row is b
    return at::addmm(parameters[width], rows, parameters.narrow(0, 0, width));
  };
  const auto evaluate = [&, &features = x](const Tensor& parameters) {
    const auto w = parameters.narrow(0, 0, width);
    const auto log_p = logits(features, parameters).log_softmax(1);  // [n, K]
    const double value = at::nll_loss(log_p, y).item<double>() + penalty / 2 * w.square().sum().item<double>();
    auto error = log_p.exp();
    error.scatter_add_(1, y.unsqueeze(1), at::full({n, 1}, -1.0, error.options()));
    error.div_(static_cast<double>(n));
    auto gradient = at::empty_like(parameters);
    gradient.narrow(0, 0, width).copy_(features.t().mm(error).add_(w, penalty));
    gradient[width].copy_(error.sum(0));
    return std::pair(value, gradient);
  };
  const auto found =
      minimise(at::zeros({width + 1, classes.size(0)}, x.options()), evaluate, options.iterations, options.tolerance);

  LinearProbe out;
  const auto test_logits = logits(test_x, found.x);
  out.accuracy = share_right(test_logits, test_y);
  out.train_accuracy = share_right(logits(x, found.x), y);
  out.loss = found.value;
  out.test_loss = at::nll_loss(test_logits.log_softmax(1), test_y, {}, at::Reduction::Mean, -1).item<double>();
  out.iterations = found.iterations;
  out.converged = found.converged;
  return out;
}

}  // namespace sdg::metrics
