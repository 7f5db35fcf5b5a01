#include "sdg/nn/patch.h"

#include <cmath>

#include "sdg/core/error.h"

namespace sdg::nn {

Tensor patchify(const Tensor& x, int64_t patch) {
  SDG_CHECK(x.dim() == 4 && x.size(2) % patch == 0 && x.size(3) % patch == 0,
            "patchify: images must be [N, C, H, W] with H and W multiples of ", patch, ", got ", to_string(x.sizes()));
  const auto n = x.size(0), channels = x.size(1), rows = x.size(2) / patch, columns = x.size(3) / patch;
  return x.view({n, channels, rows, patch, columns, patch})
      .permute({0, 2, 4, 1, 3, 5})                              // [N, H/P, W/P, C, P, P]
      .reshape({n, rows * columns, channels * patch * patch});  // [N, L, C*P*P]
}

Tensor unpatchify(const Tensor& tokens, int64_t patch, int64_t channels) {
  const auto n = tokens.size(0);
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(tokens.size(1)))));
  SDG_CHECK(side * side == tokens.size(1) && tokens.size(2) == patch * patch * channels,
            "unpatchify: tokens must be [N, g*g, ", patch * patch * channels, "], got ", to_string(tokens.sizes()));
  return tokens.reshape({n, side, side, patch, patch, channels})
      .permute({0, 5, 1, 3, 2, 4})                          // [N, C, g, P, g, P]
      .reshape({n, channels, side * patch, side * patch});  // [N, C, S, S]
}

PatchEmbedImpl::PatchEmbedImpl(int64_t channels, int64_t patch, int64_t dim, const at::TensorOptions& where) {
  proj = register_module("proj", Conv2d(channels, dim, patch, where));
}

Tensor PatchEmbedImpl::forward(const Tensor& x) const {
  return at::linear(patchify(x.contiguous(), proj->weight.size(-1)), proj->weight.flatten(1), proj->bias);  // [N, L, D]
}

}  // namespace sdg::nn
