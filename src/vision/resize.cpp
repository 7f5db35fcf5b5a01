#include "sdg/vision/resize.h"

#include "sdg/core/shape.h"

namespace sdg::vision {

Tensor resize_bilinear(const Tensor& images, int64_t height, int64_t width) {
  check_shape(images, {-1, -1, -1, -1}, "resize: images");
  return at::upsample_bilinear2d(images, {height, width}, /*align_corners=*/false);
}

namespace {
Tensor resize_axis_tf1(const Tensor& x, int64_t axis, int64_t out) {
  const int64_t in = x.size(axis);
  const auto options = at::TensorOptions(x.device());
  const Tensor source = at::arange(out, options.dtype(at::kFloat)) * (static_cast<float>(in) / static_cast<float>(out));
  const Tensor lower = source.floor().to(at::kLong).clamp_max(in - 1);  // [out]
  const Tensor upper = (lower + 1).clamp_max(in - 1);
  Shape shape(x.dim(), 1);
  shape[axis] = out;
  const Tensor weight = (source - lower).to(x.scalar_type()).view(shape);
  return at::lerp(x.index_select(axis, lower), x.index_select(axis, upper), weight);
}
}  // namespace

Tensor resize_bilinear_tf1(const Tensor& images, int64_t height, int64_t width) {
  check_shape(images, {-1, -1, -1, -1}, "resize: images");
  return resize_axis_tf1(resize_axis_tf1(images, 2, height), 3, width);
}

}  // namespace sdg::vision
