#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include "sdg/core/reducer.h"

namespace sdg {
namespace {

struct SumOverRanks : torch::autograd::Function<SumOverRanks> {
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x, int64_t reducer) {
    context->saved_data["reducer"] = reducer;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): what autograd saves is a number or a tensor
    return reinterpret_cast<Reducer*>(reducer)->all_reduce(x.detach().clone());
  }
  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               const torch::autograd::tensor_list& gradients) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    auto& reducer = *reinterpret_cast<Reducer*>(context->saved_data["reducer"].toInt());
    return {reducer.all_reduce(gradients[0].detach().clone(at::MemoryFormat::Contiguous)), Tensor()};
  }
};

}  // namespace

Tensor sum_over_ranks(const Tensor& x, Reducer& reducer) {
  if (reducer.ranks() == 1) return x;
  return SumOverRanks::apply(x, reinterpret_cast<int64_t>(&reducer));
}

Tensor part_of_mean(const Tensor& values, Reducer& reducer) {
  if (reducer.ranks() == 1) return values.mean();
  return values.sum() / static_cast<double>(reducer.sum(values.numel()));
}

}  // namespace sdg
