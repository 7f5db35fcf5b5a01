#include <torch/types.h>

#include "sdg/core/shape.h"
#include "vision/unit_input_impl.h"

namespace sdg::vision {

Tensor unit_input(const Tensor& images, int64_t channels, int64_t side, const char* who) {
  check_shape(images, {-1, channels, -1, -1}, who);
  const Tensor x = images.to(at::kFloat) / 255;
  if (x.size(2) == side && x.size(3) == side) return x;
  return at::_upsample_bilinear2d_aa(x, {side, side}, /*align_corners=*/false);
}

}  // namespace sdg::vision
