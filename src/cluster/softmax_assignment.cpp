#include "sdg/cluster/softmax_assignment.h"

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {

SinkhornResult softmax_assignment(const Tensor& scores, double epsilon) {
  const at::NoGradGuard no_grad;
  check_shape(scores, {-1, -1}, "softmax_assignment: scores");
  SDG_CHECK(epsilon > 0, "softmax_assignment: epsilon must be above 0, got ", epsilon);
  SDG_CHECK(scores.isfinite().all().item<bool>(), "softmax_assignment: scores must be finite");
  SinkhornResult result;
  const auto soft = at::softmax(scores.detach().to(at::kDouble) / epsilon, 1);  // [B, K]
  const auto share = soft.mean(0);                                              // [K]
  const auto even = 1.0 / static_cast<double>(scores.size(1));
  result.marginal_error = ((share - even).abs().max() / even).item<double>();
  result.used_clusters = std::get<0>(at::_unique(soft.argmax(1))).numel();
  result.entropy = -at::xlogy(share, share).sum().item<double>();
  result.assignments = soft.to(at::kFloat);
  return result;
}

}  // namespace sdg::cluster
