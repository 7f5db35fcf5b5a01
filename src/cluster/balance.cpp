#include "cluster/balance.h"

#include <algorithm>
#include <cmath>

namespace sdg::cluster {
namespace {

// The scores with the side first that is eliminated.
struct Problem {
  Tensor scores;     // [m, n]; of its rows those of this rank
  double rows = 0;   // m, of all ranks
  Reducer& reducer;  // over which the rows are divided
};

// The dual at potentials a [n] (in the unit of the scores): rows of T [m, n] are eliminated, each a softmax with mass
// 1/m.
struct Dual {
  Tensor plan;       // [m, n], rows sum to 1; this rank's
  Tensor marginals;  // [n], sum to 1
  double value = 0;  // to be minimised
  double error = 0;  // largest relative distance of a marginal from 1/n
};

Dual evaluate(const Problem& problem, const Tensor& potentials, double epsilon) {
  const auto logits = (problem.scores + potentials) / epsilon;  // [m, n]
  const auto log_sums = logits.logsumexp(1, true);              // [m, 1]
  Dual dual;
  dual.plan = (logits - log_sums).exp_();
  dual.marginals = problem.reducer.all_reduce(dual.plan.sum(0)) / problem.rows;
  const auto mean_log_sum = problem.reducer.all_reduce(log_sums.sum()) / problem.rows;
  dual.value = (mean_log_sum * epsilon - potentials.mean()).item<double>();
  dual.error = (dual.marginals * static_cast<double>(potentials.size(0)) - 1).abs().max().item<double>();
  return dual;
}

// Direction of Newton's method, given plan^T plan / m [n, n], with a ridge that grows until the matrix can be factored;
// undefined if it never can.
Tensor direction(const Tensor& product, const Dual& dual, const Tensor& gradient, double epsilon, double& ridge) {
  const auto n = static_cast<double>(gradient.size(0));
  auto hessian = at::diag(dual.marginals) - product;  // times 1 / eps
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
bool newton_step(const Problem& problem, double epsilon, Tensor& potentials, Dual& dual, int64_t& steps) {
  const auto gradient = dual.marginals - 1.0 / static_cast<double>(potentials.size(0));
  const auto product = problem.reducer.all_reduce(dual.plan.t().mm(dual.plan)) / problem.rows;
  double ridge = 1e-10 * dual.marginals.max().item<double>();
  for (int widening = 0; widening < 6; ++widening, ridge *= 1e4) {
    const auto step = direction(product, dual, gradient, epsilon, ridge);
    if (!step.defined()) return false;
    const double slope = gradient.dot(step).item<double>();
    for (double length = 1; length > 1e-3; length /= 2) {
      const auto next = potentials - length * step;
      auto there = evaluate(problem, next, epsilon);
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

Balanced balance(const Tensor& scores_in, double epsilon, double range, double tolerance, int64_t steps,
                 Reducer& reducer) {
  constexpr double kCooling = 4, kLoose = 0.05;  // between values of eps only the neighbourhood matters
  const auto samples = reducer.sum(scores_in.size(0));
  const bool over_clusters = scores_in.size(1) <= samples;
  auto wide = scores_in.to(at::kDouble);
  if (!over_clusters) wide = reducer.all_gather(wide);
  const Problem problem{over_clusters ? wide : wide.t().contiguous(),
                        static_cast<double>(over_clusters ? samples : wide.size(1)),
                        over_clusters ? reducer : Reducer::local()};
  auto potentials = at::zeros({problem.scores.size(1)}, wide.options());
  Balanced out;
  Dual dual;
  for (double temperature = std::max(epsilon, range);; temperature = std::max(epsilon, temperature / kCooling)) {
    const bool last = temperature <= epsilon;
    dual = evaluate(problem, potentials, temperature);
    ++out.steps;
    while (dual.error > (last ? tolerance : kLoose) && out.steps < steps) {
      if (!newton_step(problem, temperature, potentials, dual, out.steps)) break;
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
