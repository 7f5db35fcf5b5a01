#include "sdg/nn/alignment.h"

#include "sdg/core/error.h"

namespace sdg::nn {
namespace {

Tensor unit(const Tensor& x) {
  return x / x.norm(2, {-1}, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace

Tensor alignment_loss(const Tensor& projected, const Tensor& features) {
  SDG_CHECK(projected.dim() == 3 && projected.sizes() == features.sizes(),
            "alignment_loss: both must be [N, L, Z], got ", to_string(projected.sizes()), " and ",
            to_string(features.sizes()));
  return -(unit(projected) * unit(features)).sum(2).mean(1);  // [N]
}

}  // namespace sdg::nn
