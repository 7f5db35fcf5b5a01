#include "sdg/metrics/clustering.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/metrics/hungarian.h"

namespace sdg::metrics {
namespace {
constexpr double kEps = std::numeric_limits<double>::epsilon();

struct Contingency {
  Tensor counts;          // int64 [R, C]: samples of class i in cluster j
  std::vector<double> a;  // [R] samples of each class
  std::vector<double> b;  // [C] samples of each cluster
  double n = 0;

  int64_t rows() const { return static_cast<int64_t>(a.size()); }
  int64_t columns() const { return static_cast<int64_t>(b.size()); }
};

Tensor ranks(const Tensor& labels, std::vector<double>& sizes) {
  const auto [values, rank, count] =
      at::_unique2(labels, /*sorted=*/true, /*return_inverse=*/true, /*return_counts=*/true);
  const Tensor c = count.to(at::kDouble).contiguous();
  sizes.assign(c.data_ptr<double>(), c.data_ptr<double>() + c.numel());
  return rank;
}

Contingency contingency(const Tensor& truth, const Tensor& predicted) {
  check_shape(truth, {-1}, "cluster scores: truth");
  check_shape(predicted, {truth.size(0)}, "cluster scores: predicted");
  SDG_CHECK(truth.size(0) > 0, "cluster scores: at least one sample is needed, got none");
  SDG_CHECK(!truth.is_floating_point() && !predicted.is_floating_point(),
            "cluster scores: labels must be integers, got ", truth.scalar_type(), " and ", predicted.scalar_type());
  Contingency t;
  const Tensor i = ranks(truth.to(at::kCPU, at::kLong), t.a), j = ranks(predicted.to(at::kCPU, at::kLong), t.b);
  t.counts = at::bincount(i * t.columns() + j, {}, t.rows() * t.columns()).view({t.rows(), t.columns()});
  t.n = static_cast<double>(truth.size(0));
  return t;
}

// Calls f(i, j, n_ij) for every cell that holds samples.
template <class F>
void each_cell(const Contingency& t, F f) {
  const auto* count = t.counts.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < t.rows(); ++i) {
    for (int64_t j = 0; j < t.columns(); ++j, ++count) {
      if (*count) f(i, j, static_cast<double>(*count));
    }
  }
}

double entropy(const std::vector<double>& sizes, double n) {
  if (sizes.size() == 1) return 0;
  double h = 0;
  for (const double size : sizes) h -= size / n * std::log(size / n);
  return h;
}

double mutual_information(const Contingency& t) {
  double mi = 0;
  each_cell(t,
            [&](int64_t i, int64_t j, double c) { mi += c / t.n * (std::log(t.n * c) - std::log(t.a[i] * t.b[j])); });
  return std::max(mi, 0.0);
}

// E[MI] under the hypergeometric model: sum over cells, and over the counts n the cell could hold, of
// n/N log(N n / (a b)) P(n), P(n) = a! b! (N-a)! (N-b)! / (N! n! (a-n)! (b-n)! (N-a-b+n)!).
double expected_mutual_information(const Contingency& t) {
  if (t.rows() == 1 || t.columns() == 1) return 0;
  const auto n_total = static_cast<int64_t>(t.n);
  std::vector<double> log_factorial(n_total + 1, 0), log_of(n_total + 1, 0);
  for (int64_t k = 1; k <= n_total; ++k) {
    log_of[k] = std::log(static_cast<double>(k));
    log_factorial[k] = std::lgamma(static_cast<double>(k) + 1);
  }
  double expected = 0;
  for (const double size_a : t.a) {
    for (const double size_b : t.b) {
      const auto a = static_cast<int64_t>(size_a), b = static_cast<int64_t>(size_b);
      const double fixed = log_factorial[a] + log_factorial[b] + log_factorial[n_total - a] +
                           log_factorial[n_total - b] - log_factorial[n_total];
      for (int64_t n = std::max<int64_t>(1, a + b - n_total); n <= std::min(a, b); ++n) {
        const double log_p =
            fixed - log_factorial[n] - log_factorial[a - n] - log_factorial[b - n] - log_factorial[n_total - a - b + n];
        expected +=
            static_cast<double>(n) / t.n * (log_of[n_total] + log_of[n] - log_of[a] - log_of[b]) * std::exp(log_p);
      }
    }
  }
  return expected;
}

double adjusted_mutual_information(const Contingency& t, double mi, double expected, double normalizer) {
  const bool both_single = t.rows() == 1 && t.columns() == 1;
  const bool both_alone = static_cast<double>(t.rows()) == t.n && static_cast<double>(t.columns()) == t.n;
  if (both_single || both_alone) return 1;
  if (t.rows() == 1 || t.columns() == 1) return 0;
  double denominator = normalizer - expected;
  if (std::abs(denominator) < kEps) denominator = denominator < 0 ? -kEps : kEps;
  return (mi - expected) / denominator;
}

// Ordered pairs of samples by whether each labeling joins them.
struct Pairs {
  double both = 0, truth_only = 0, predicted_only = 0, neither = 0;
};

Pairs count_pairs(const Contingency& t) {
  double cells = 0, a = 0, b = 0;
  each_cell(t, [&](int64_t, int64_t, double c) { cells += c * c; });
  for (const double size : t.a) a += size * size;
  for (const double size : t.b) b += size * size;
  return {cells - t.n, a - cells, b - cells, t.n * t.n - a - b + cells};
}

double adjusted_rand(const Pairs& p) {
  if (p.truth_only == 0 && p.predicted_only == 0) return 1;
  return 2 * (p.both * p.neither - p.truth_only * p.predicted_only) /
         ((p.both + p.truth_only) * (p.truth_only + p.neither) +
          (p.both + p.predicted_only) * (p.predicted_only + p.neither));
}

double matched_accuracy(const Contingency& t) {
  const auto column_of = min_cost_assignment(-t.counts);
  double matched = 0;
  each_cell(t, [&](int64_t i, int64_t j, double c) { matched += column_of[i] == j ? c : 0; });
  return matched / t.n;
}
}  // namespace

ClusterAgreement cluster_agreement(const Tensor& truth, const Tensor& predicted) {
  const Contingency t = contingency(truth, predicted);
  const double h_a = entropy(t.a, t.n), h_b = entropy(t.b, t.n), mi = mutual_information(t);
  const bool both_single = t.rows() == 1 && t.columns() == 1;
  const auto nmi = [&](double normalizer) { return both_single ? 1.0 : mi <= kEps ? 0.0 : mi / normalizer; };

  ClusterAgreement r;
  r.mutual_info = mi;
  r.expected_mutual_info = expected_mutual_information(t);
  r.nmi = nmi((h_a + h_b) / 2);
  r.nmi_geometric = nmi(std::sqrt(h_a * h_b));
  r.nmi_min = nmi(std::min(h_a, h_b));
  r.nmi_max = nmi(std::max(h_a, h_b));
  r.ami = adjusted_mutual_information(t, mi, r.expected_mutual_info, (h_a + h_b) / 2);
  r.homogeneity = h_a == 0 ? 1 : mi / h_a;
  r.completeness = h_b == 0 ? 1 : mi / h_b;
  const double sum = r.homogeneity + r.completeness;
  r.v_measure = sum == 0 ? 0 : 2 * r.homogeneity * r.completeness / sum;

  const Pairs p = count_pairs(t);
  const double all = t.n * t.n - t.n;
  r.ari = adjusted_rand(p);
  r.rand_score = all == 0 ? 1 : (p.both + p.neither) / all;
  r.fowlkes_mallows =
      p.both == 0 ? 0 : std::sqrt(p.both / (p.both + p.truth_only)) * std::sqrt(p.both / (p.both + p.predicted_only));
  r.accuracy = matched_accuracy(t);
  r.purity = t.counts.amax(0).sum().to(at::kDouble).item<double>() / t.n;
  return r;
}

ClusterScores cluster_scores(const Tensor& truth, const Tensor& predicted) {
  return cluster_agreement(truth, predicted);
}

}  // namespace sdg::metrics
