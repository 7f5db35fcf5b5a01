#include "sdg/nn/swiglu.h"

namespace sdg::nn {

SwiGluImpl::SwiGluImpl(int64_t dim, int64_t hidden, const at::TensorOptions& where) {
  w12 = register_module("w12", Linear(dim, 2 * hidden, true, where));
  w3 = register_module("w3", Linear(hidden, dim, true, where));
}

Tensor SwiGluImpl::forward(const Tensor& x) const {
  const auto halves = w12->forward(x).chunk(2, -1);
  return w3->forward(at::silu(halves[0]) * halves[1]);
}

}  // namespace sdg::nn
