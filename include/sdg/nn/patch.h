#pragma once
#include "sdg/nn/layers.h"

namespace sdg::nn {

/// Cuts images into patches, row by row: [N, C, H, W] -> [N, L, C*P*P] with the channel slowest inside a patch (a
/// convolution's order).
Tensor patchify(const Tensor& x, int64_t patch);

/// Puts predicted patches together: [N, L, P*P*C] with the channel fastest inside a patch -> [N, C, S, S], L = (S /
/// P)^2.
Tensor unpatchify(const Tensor& tokens, int64_t patch, int64_t channels);

/// A convolution of kernel and stride P, as one matrix product. State-dict names: proj.weight [D, C, P, P], proj.bias
/// [D].
class PatchEmbedImpl : public torch::nn::Module {
 public:
  PatchEmbedImpl(int64_t channels, int64_t patch, int64_t dim, const at::TensorOptions& where = {});
  Tensor forward(const Tensor& x) const;  ///< [N, C, H, W] -> [N, L, D]

  Conv2d proj{nullptr};
};
TORCH_MODULE(PatchEmbed);

}  // namespace sdg::nn
