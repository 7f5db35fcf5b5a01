#include "sdg/cluster/softmax_assignment.h"

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {

SinkhornResult softmax_assignment(const Tensor& scores, double epsilon, Reducer& reducer) {
  const at::NoGradGuard no_grad;
  check_shape(scores, {-1, -1}, "softmax_assignment: scores");
  SDG_CHECK(epsilon > 0, "softmax_assignment: epsilon must be above 0, got ", epsilon);
  const auto bad = reducer.sum(scores.isfinite().logical_not().sum().item<int64_t>());
  SDG_CHECK(bad == 0, "softmax_assignment: scores must be finite, got ", bad, " that are inf or nan");
  SinkhornResult result;
  result.samples = reducer.sum(scores.size(0));
  const auto soft = at::softmax(scores.detach().to(at::kDouble) / epsilon, 1);               // [B, K]
  const auto share = reducer.all_reduce(soft.sum(0)) / static_cast<double>(result.samples);  // [K]
  const auto even = 1.0 / static_cast<double>(scores.size(1));
  result.marginal_error = ((share - even).abs().max() / even).item<double>();
  const auto used = at::bincount(soft.argmax(1), {}, scores.size(1)).clamp_max(1);  // [K]
  result.used_clusters = reducer.all_reduce(used, Reducer::Op::kMax).sum().item<int64_t>();
  result.entropy = -at::xlogy(share, share).sum().item<double>();
  result.assignments = soft.to(at::kFloat);
  return result;
}

}  // namespace sdg::cluster
