#pragma once
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>

#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::vision {

/// A convolution, its batch norm in eval mode and a ReLU as one: weights hold the norm (multiplied in float64), for
/// channels-last input. Only results are wanted: no gradients, no other weights.
class FusedConv {
 public:
  /// Weights and results in `type`, float32 or bf16.
  FusedConv(const torch::nn::Conv2dImpl& conv, const torch::nn::BatchNorm2dImpl& norm, at::ScalarType type);

  /// x of `type`, channels last. [N, in, H, W] -> [N, out, H', W']
  Tensor operator()(const Tensor& x) const;

  /// On a CPU with oneDNN: weights are brought into the layout that its kernel wants for inputs of this shape, once
  /// instead of with each call. Other shapes are taken as well, more slowly. Elsewhere it does nothing. Not to be
  /// called while other threads use it.
  void pack(const Tensor& x);
  bool packed() const { return packed_.defined(); }

 private:
  std::vector<int64_t> stride_, padding_;
  Tensor weight_, bias_;  // [out, in, h, w], [out]
  Tensor packed_;         // oneDNN's own, of the same values
};

}  // namespace sdg::vision
