#include "sdg/nn/mlp.h"

namespace sdg::nn {

MlpImpl::MlpImpl(int64_t dim, int64_t hidden, Gelu gelu, const at::TensorOptions& where) : gelu_(gelu) {
  fc1 = register_module("fc1", Linear(dim, hidden, true, where));
  fc2 = register_module("fc2", Linear(hidden, dim, true, where));
}

Tensor MlpImpl::forward(const Tensor& x) const {
  return fc2->forward(at::gelu(fc1->forward(x), gelu_ == Gelu::kTanh ? "tanh" : "none"));
}

TimeMlpImpl::TimeMlpImpl(int64_t in, int64_t hidden, int64_t out, const at::TensorOptions& where) {
  first = register_module("0", Linear(in, hidden, true, where));
  second = register_module("2", Linear(hidden, out, true, where));
}

Tensor TimeMlpImpl::forward(const Tensor& x) const {
  return second->forward(at::silu(first->forward(x)));
}

}  // namespace sdg::nn
