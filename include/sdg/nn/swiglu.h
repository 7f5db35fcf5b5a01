#pragma once
#include "sdg/nn/layers.h"

namespace sdg::nn {

/// w3(SiLU(a) b) with a, b the halves of w12(x) (Shazeer, arXiv 2002.05202). State-dict names: w12, w3.
class SwiGluImpl : public torch::nn::Module {
 public:
  SwiGluImpl(int64_t dim, int64_t hidden, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;  ///< [..., dim] -> [..., dim]

  Linear w12{nullptr}, w3{nullptr};
};
TORCH_MODULE(SwiGlu);

/// Hidden width that gives it about as many weights as an MLP of `hidden`: two thirds.
constexpr int64_t swiglu_hidden(int64_t hidden) {
  return 2 * hidden / 3;
}

}  // namespace sdg::nn
