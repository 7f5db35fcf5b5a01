#include "sdg/cluster/sinkhorn.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cluster/balance.h"
#include "cluster/scaled_plan.h"
#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {
namespace {

// The plan is Q_ik = exp(S_ik / eps + u_i + v_k): only the potentials u [B] and v [K] are kept, the matrix is read in
// blocks of rows.
class Plan {
 public:
  Plan(const Tensor& scores, double epsilon, Reducer& reducer, at::ScalarType type = at::kDouble)
      : scores_(scores), epsilon_(epsilon), reducer_(reducer), type_(type) {
    const auto options = at::TensorOptions(scores.device()).dtype(type);
    samples = at::zeros({scores.size(0)}, options);
    clusters = at::zeros({scores.size(1)}, options);
    // A block stays in a CPU's cache; a GPU wants long kernels.
    const int64_t block = scores.is_cuda() ? int64_t{1} << 24 : int64_t{1} << 17;
    rows_ = std::max<int64_t>(1, block / scores.size(1));
  }

  // log sum_i exp(S_ik / eps + u_i) over the samples of all ranks, [K].
  Tensor log_cluster_sums() const {
    Tensor sums;
    for_each_block([&](int64_t begin, const Tensor& block) {
      const auto part = (block + samples.slice(0, begin, begin + block.size(0)).unsqueeze(1)).logsumexp(0);
      sums = sums.defined() ? at::logaddexp(sums, part) : part;
    });
    if (!sums.defined()) sums = at::full_like(clusters, -std::numeric_limits<double>::infinity());
    return log_sum_over_ranks(sums, reducer_);
  }

  // log of the sum of the whole plan, a scalar.
  Tensor log_total() const { return log_sum_over_ranks(log_sample_sums().logsumexp(0), reducer_); }

  // log sum_k exp(S_ik / eps + v_k), [B].
  Tensor log_sample_sums() const {
    Tensor sums = at::empty_like(samples);
    for_each_block([&](int64_t begin, const Tensor& block) {
      sums.slice(0, begin, begin + block.size(0)).copy_((block + clusters).logsumexp(1));
    });
    return sums;
  }

  // visit(first row, S / eps of those rows [rows, K]).
  template <class Visit>
  void for_each_block(const Visit& visit) const {
    for (int64_t begin = 0; begin < scores_.size(0); begin += rows_) {
      visit(begin, scores_.slice(0, begin, begin + rows_).to(type_) / epsilon_);
    }
  }

  Tensor samples;   // u
  Tensor clusters;  // v

 private:
  Tensor scores_;
  double epsilon_;
  Reducer& reducer_;
  at::ScalarType type_;
  int64_t rows_;
};

// The scores of all ranks.
struct Scores {
  int64_t samples = 0;
  double least = 0, largest = 0;
};

// Throws, on all ranks alike, for what is not valid.
Scores validate(const Tensor& scores, const SinkhornOptions& options, Reducer& reducer) {
  check_shape(scores, {-1, -1}, "sinkhorn: scores");
  SDG_CHECK(options.epsilon > 0, "sinkhorn: epsilon must be positive, got ", options.epsilon);
  SDG_CHECK(options.iterations >= 0, "sinkhorn: iterations must be at least 0, got ", options.iterations);
  Scores all{reducer.sum(scores.size(0))};
  SDG_CHECK(all.samples > 0 && scores.size(1) > 0, "sinkhorn: scores must have at least one row and one column, got ",
            to_string({all.samples, scores.size(1)}));
  constexpr double kNothing = -std::numeric_limits<double>::infinity();
  auto ends = at::tensor({kNothing, kNothing, 0.0}, at::kDouble);  // -least, largest, is any not finite
  if (scores.numel() > 0) {
    const auto [least, largest] = at::aminmax(scores);  // nan where any score is
    const double low = least.item<double>(), high = largest.item<double>();
    const bool bad = !std::isfinite(low) || !std::isfinite(high);
    ends = bad ? at::tensor({0.0, 0.0, 1.0}, at::kDouble) : at::tensor({-low, high, 0.0}, at::kDouble);
  }
  reducer.all_reduce(ends, Reducer::Op::kMax);
  if (ends[2].item<double>() > 0) {
    const auto bad = reducer.sum(scores.isfinite().logical_not().sum().item<int64_t>());
    throw Error(cat("sinkhorn: scores must be finite, got ", bad, " of ", all.samples * scores.size(1),
                    " that are inf or nan"));
  }
  all.least = -ends[0].item<double>();
  all.largest = ends[1].item<double>();
  return all;
}

// Relative distance of the cluster sums from B/K, given the log sums of the plan scaled to a total of 1.
double marginal_error(const Tensor& log_sums, double log_share) {
  return (log_sums - log_share).expm1().abs().max().item<double>();
}

// sums [K] of the columns of all ranks' assignments; used int64 [K], 1 where a cluster is the argmax of a sample here.
void summarise(const Tensor& sums_in, const Tensor& used, Reducer& reducer, SinkhornResult& result) {
  const auto sums = sums_in.to(at::kDouble);  // K numbers
  const auto samples = static_cast<double>(result.samples);
  const auto clusters = static_cast<double>(result.assignments.size(1));
  const auto mean = sums / sums.sum();
  result.marginal_error = Figure::of((sums * (clusters / samples) - 1).abs().max());
  result.entropy = Figure::of(-at::special_xlog1py(mean, mean - 1).sum());
  result.used_clusters = Figure::of(reducer.all_reduce(used, Reducer::Op::kMax).sum());
}

void finish(const Plan& plan, bool swept, Reducer& reducer, SinkhornResult& result) {
  const int64_t clusters = result.assignments.size(1);
  Tensor sums = at::zeros({clusters}, plan.clusters.options());
  Tensor used = at::zeros({clusters}, plan.clusters.options().dtype(at::kLong));
  plan.for_each_block([&](int64_t begin, const Tensor& block) {
    // After a sweep each row is a softmax, which sums to 1 however large the scores are.
    const auto rows = swept ? (block + plan.clusters).softmax(1)
                            : (block + plan.samples.slice(0, begin, begin + block.size(0)).unsqueeze(1)).exp();
    result.assignments.slice(0, begin, begin + block.size(0)).copy_(rows);
    sums += rows.sum(0);
    used.index_fill_(0, rows.argmax(1), 1);
  });
  summarise(reducer.all_reduce(sums), used, reducer, result);
}

// What the tolerance asks of the sweeps.
struct Ending {
  int64_t least, most;
  double tolerance;
  bool may_solve;  // something better follows where the sweeps do not reach it
  bool reached(int64_t done, double error) const {
    return tolerance > 0 && done >= std::max<int64_t>(1, least) && error <= tolerance;
  }
};

// False where the tolerance was not reached; nothing is lost but time then.
bool sweep_scaled(const Tensor& scores, double epsilon, double largest, const Ending& ending, Reducer& reducer,
                  SinkhornResult& result) {
  ScaledPlan plan(scores, epsilon, largest, result.samples, reducer);
  // The last sweep's second half is the finish itself.
  while (true) {
    const bool reached = ending.reached(result.iterations, plan.marginal_error());
    const bool exhausted = result.iterations == ending.most;
    if (exhausted && !reached && ending.may_solve) return false;
    if (exhausted || reached) break;
    plan.scale_clusters();
    ++result.iterations;
    if (ending.tolerance <= 0 && result.iterations == ending.most) break;
    plan.scale_samples();
  }
  auto finished = plan.finish();
  result.assignments = finished.assignments;
  auto used = at::zeros({scores.size(1)}, at::kLong);
  for (const auto k : finished.argmaxes) used.data_ptr<int64_t>()[k] = 1;
  summarise(at::tensor(finished.sums, at::kDouble), used, reducer, result);
  return true;
}

SinkhornResult without_waiting(const Tensor& scores, const SinkhornOptions& options) {
  check_shape(scores, {-1, -1}, "sinkhorn: scores");
  SDG_CHECK(options.epsilon > 0 && options.iterations >= 1 && options.tolerance == 0 && scores.numel() > 0,
            "sinkhorn without waiting: expected scores, a positive epsilon, at least one sweep and no tolerance, got ",
            to_string(scores.sizes()), ", ", options.epsilon, ", ", options.iterations, " and ", options.tolerance);
  auto& alone = Reducer::local();
  SinkhornResult result;
  result.samples = scores.size(0);
  result.iterations = options.iterations;
  Plan plan(scores, options.epsilon, alone, at::kFloat);
  const double log_samples = std::log(static_cast<double>(scores.size(0)));
  const double log_clusters = std::log(static_cast<double>(scores.size(1)));
  for (int64_t i = 0; i < options.iterations; ++i) {
    plan.clusters = -log_clusters - plan.log_cluster_sums();  // each cluster gets 1/K
    // Each sample gets 1/B; after the last sweep that is the finish itself.
    if (i + 1 < options.iterations) plan.samples = -log_samples - plan.log_sample_sums();
  }
  result.assignments = at::empty(scores.sizes(), scores.options().dtype(at::kFloat));
  finish(plan, /*swept=*/true, alone, result);
  return result;
}

bool sweep_logarithms(Plan& plan, const Ending& ending, int64_t samples, int64_t& iterations) {
  const double log_samples = std::log(static_cast<double>(samples));
  const double log_clusters = std::log(static_cast<double>(plan.clusters.size(0)));
  while (true) {
    if (ending.tolerance <= 0 && iterations == ending.most) return true;
    const auto log_sums = plan.log_cluster_sums();
    // These are also the marginals that the sweep before has left, so the test for the end costs nothing.
    if (ending.reached(iterations, marginal_error(log_sums + plan.clusters, -log_clusters))) return true;
    if (iterations == ending.most) return false;
    plan.clusters = -log_clusters - log_sums;              // each cluster gets 1/K
    plan.samples = -log_samples - plan.log_sample_sums();  // each sample gets 1/B
    ++iterations;
  }
}

}  // namespace

SinkhornResult sinkhorn(const Tensor& scores_in, const SinkhornOptions& options, Reducer& reducer) {
  const at::NoGradGuard no_grad;
  const auto scores = scores_in.detach();
  if (options.no_waiting && reducer.ranks() == 1) return without_waiting(scores, options);
  const auto all = validate(scores, options, reducer);
  const double range = all.largest - all.least;
  // Where the smaller side is small, Newton's method is the sure way once some sweeps have not sufficed.
  constexpr int64_t kSweepsFirst = 100, kNewtonSide = 2048;
  const bool may_solve = options.tolerance > 0 && std::min(all.samples, scores.size(1)) <= kNewtonSide;
  int64_t most = options.iterations;
  if (options.tolerance > 0) most = std::max(most, may_solve ? kSweepsFirst : options.max_iterations);
  const Ending ending{options.iterations, most, options.tolerance, may_solve};

  SinkhornResult result;
  result.samples = all.samples;
  const bool moderate = range <= ScaledPlan::kLargestRange * options.epsilon;
  const bool scaled = moderate && scores.is_cpu() && ending.most > 0;
  if (scaled && sweep_scaled(scores, options.epsilon, all.largest, ending, reducer, result)) return result;

  Plan plan(scores, options.epsilon, reducer);
  const bool reached = !scaled && sweep_logarithms(plan, ending, all.samples, result.iterations);
  if (!reached && may_solve) {
    const auto balanced =
        balance(scores, options.epsilon, range, 0.5 * options.tolerance, options.max_iterations, reducer);
    plan.clusters = balanced.clusters;
    result.iterations += balanced.steps;
  }
  if (result.iterations == 0) plan.samples += std::log(static_cast<double>(all.samples)) - plan.log_total();
  result.assignments = at::empty(scores.sizes(), scores.options().dtype(at::kFloat));
  finish(plan, result.iterations > 0, reducer, result);
  return result;
}

Tensor assignment_loss(const Tensor& scores, const Tensor& assignments, double temperature) {
  check_shape(scores, {-1, -1}, "assignment_loss: scores");
  check_shape(assignments, {scores.size(0), scores.size(1)}, "assignment_loss: assignments");
  SDG_CHECK(temperature > 0, "assignment_loss: temperature must be positive, got ", temperature);
  const auto logits = (at::isReducedFloatingType(scores.scalar_type()) ? scores.to(at::kFloat) : scores) / temperature;
  return -(assignments.detach() * logits.log_softmax(1)).sum(1);  // [B]
}

}  // namespace sdg::cluster
