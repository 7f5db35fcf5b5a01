#include "sdg/learn/objective.h"

#include <torch/types.h>

namespace sdg::learn {

Contribution sum_of_shards(const std::vector<Contribution>& parts, Reducer& reducer) {
  std::vector<Tensor> gradients;
  std::vector<double> own;
  for (const auto& part : parts) {
    gradients.push_back(part.gradient);
    own.push_back(part.loss);
  }
  Contribution out;
  const auto losses = reducer.all_gather(at::tensor(own, at::kDouble));  // [shards of all ranks]
  for (int64_t i = 0; i < losses.size(0); ++i) out.loss += losses[i].item<double>();
  out.gradient = reducer.sum_in_order(gradients);
  return out;
}

}  // namespace sdg::learn
