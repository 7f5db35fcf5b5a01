#include "cluster/balance.h"

#include <algorithm>
#include <cmath>

namespace sdg::cluster {
namespace {

// The dual at potentials a [n] (in the unit of the scores): rows of T [m, n] are eliminated, each a softmax with mass
// 1/m.
struct Dual {
  Tensor plan;       // [m, n], rows sum to 1
  Tensor marginals;  // [n], sum to 1
  double value = 0;  // to be minimised
  double error = 0;  // largest relative distance of a marginal from 1/n
};

Dual evaluate(const Tensor& scores, const Tensor& potentials, double epsilon) {
  const auto logits = (scores + potentials) / epsilon;  // [m, n]
  const auto log_sums = logits.logsumexp(1, true);      // [m, 1]
  Dual dual;
  dual.plan = (logits - log_sums).exp_();
  dual.marginals = dual.plan.mean(0);
  dual.value = (log_sums.mean() * epsilon - potentials.mean()).item<double>();
  dual.error = (dual.marginals * static_cast<double>(potentials.size(0)) - 1).abs().max().item<double>();
  return dual;
}

// Direction of Newton's method with a ridge that grows until the matrix can be factored; undefined if it never can.
Tensor direction(const Dual& dual, const Tensor& gradient, double epsilon, double& ridge) {
  const auto n = static_cast<double>(gradient.size(0)), m = static_cast<double>(dual.plan.size(0));
  auto hessian = at::diag(dual.marginals) - dual.plan.t().mm(dual.plan) / m;  // times 1 / eps
  hessian += 1 / (n * n);  // a constant added to all potentials changes nothing: this takes that freedom away
  for (int attempt = 0; attempt < 12; ++attempt, ridge *= 100) {
    auto shifted = hessian.clone();
    shifted.diagonal().add_(ridge);
    const auto [factor, failed] = at::linalg_cholesky_ex(shifted);
    if (failed.item<int64_t>() == 0) return at::cholesky_solve(gradient.unsqueeze(1), factor).squeeze(1) * epsilon;
  }
  return {};
}

// One accepted step; false where none lowers the dual any more.
bool newton_step(const Tensor& scores, double epsilon, Tensor& potentials, Dual& dual, int64_t& steps) {
  const auto gradient = dual.marginals - 1.0 / static_cast<double>(potentials.size(0));
  double ridge = 1e-10 * dual.marginals.max().item<double>();
  for (int widening = 0; widening < 6; ++widening, ridge *= 1e4) {
    const auto step = direction(dual, gradient, epsilon, ridge);
    if (!step.defined()) return false;
    const double slope = gradient.dot(step).item<double>();
    for (double length = 1; length > 1e-3; length /= 2) {
      const auto next = potentials - length * step;
      auto there = evaluate(scores, next, epsilon);
      ++steps;
      // Near the end the dual no longer changes in float64, the marginals still do.
      if (there.value <= dual.value - 1e-4 * length * slope || there.error < 0.5 * dual.error) {
        potentials = next;
        dual = std::move(there);
        return true;
      }
    }
  }
  return false;
}

}  // namespace

Balance balance(const Tensor& scores_in, double epsilon, double tolerance, int64_t steps) {
  constexpr double kCooling = 4, kLoose = 0.05;  // between values of eps only the neighbourhood matters
  const auto wide = scores_in.to(at::kDouble);
  const bool over_clusters = wide.size(1) <= wide.size(0);
  const auto scores = over_clusters ? wide : wide.t().contiguous();  // [m, n]
  const double range = (wide.max() - wide.min()).item<double>();
  auto potentials = at::zeros({scores.size(1)}, wide.options());
  Balance out;
  Dual dual;
  for (double temperature = std::max(epsilon, range);; temperature = std::max(epsilon, temperature / kCooling)) {
    const bool last = temperature <= epsilon;
    dual = evaluate(scores, potentials, temperature);
    ++out.steps;
    while (dual.error > (last ? tolerance : kLoose) && out.steps < steps) {
      if (!newton_step(scores, temperature, potentials, dual, out.steps)) break;
    }
    if (last) break;
  }
  out.error = dual.error;
  out.clusters = potentials / epsilon;
  if (!over_clusters) {  // from the samples' potentials those of the clusters, exactly
    out.clusters = -(wide / epsilon + out.clusters.unsqueeze(1)).logsumexp(0);
  }
  return out;
}

}  // namespace sdg::cluster
