#include "sdg/cluster/softmax_assignment.h"

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {

SinkhornResult softmax_assignment(const Tensor& scores, double epsilon, Reducer& reducer, bool no_waiting) {
  const at::NoGradGuard no_grad;
  check_shape(scores, {-1, -1}, "softmax_assignment: scores");
  SDG_CHECK(epsilon > 0, "softmax_assignment: epsilon must be above 0, got ", epsilon);
  if (!no_waiting || reducer.ranks() > 1) {
    const auto bad = reducer.sum(scores.isfinite().logical_not().sum().item<int64_t>());
    SDG_CHECK(bad == 0, "softmax_assignment: scores must be finite, got ", bad, " that are inf or nan");
  }
  SinkhornResult result;
  result.samples = reducer.sum(scores.size(0));
  const auto soft = at::softmax(scores.detach().to(at::kDouble) / epsilon, 1);               // [B, K]
  const auto share = reducer.all_reduce(soft.sum(0)) / static_cast<double>(result.samples);  // [K]
  const auto even = 1.0 / static_cast<double>(scores.size(1));
  result.marginal_error = Figure::of((share - even).abs().max() / even);
  const auto used = at::zeros({scores.size(1)}, share.options().dtype(at::kLong)).index_fill_(0, soft.argmax(1), 1);
  result.used_clusters = Figure::of(reducer.all_reduce(used, Reducer::Op::kMax).sum());
  result.entropy = Figure::of(-at::xlogy(share, share).sum());
  result.assignments = soft.to(at::kFloat);
  return result;
}

}  // namespace sdg::cluster
