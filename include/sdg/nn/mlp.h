#pragma once
#include "sdg/nn/layers.h"

namespace sdg::nn {

enum class Gelu {
  kErf,   ///< x Phi(x)
  kTanh,  ///< its tanh approximation
};

/// fc2(GELU(fc1(x))). State-dict names: fc1, fc2.
class MlpImpl : public torch::nn::Module {
 public:
  MlpImpl(int64_t dim, int64_t hidden, Gelu gelu, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;  ///< [..., dim] -> [..., dim]

  Linear fc1{nullptr}, fc2{nullptr};

 private:
  Gelu gelu_;
};
TORCH_MODULE(Mlp);

/// Linear, SiLU, Linear under the state-dict names 0 and 2: the networks that follow a time sinusoid.
class TimeMlpImpl : public torch::nn::Module {
 public:
  TimeMlpImpl(int64_t in, int64_t hidden, int64_t out, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;  ///< [N, in] -> [N, out]

  Linear first{nullptr}, second{nullptr};
};
TORCH_MODULE(TimeMlp);

}  // namespace sdg::nn
