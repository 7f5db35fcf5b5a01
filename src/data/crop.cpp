#include "sdg/data/crop.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"

namespace sdg::data {
namespace {

// Halves go to the even neighbour, as Python's round does (the default rounding mode).
int64_t round_half_even(double x) {
  return static_cast<int64_t>(std::nearbyint(x));
}

}  // namespace

Tensor adm_center_crop(const Tensor& image, int64_t size) {
  check_shape(image, {-1, -1, -1}, "adm_center_crop: image");
  SDG_CHECK(size > 0, "adm_center_crop: size must be at least 1 pixel, got ", size);
  Tensor x = image;
  while (std::min(x.size(1), x.size(2)) >= 2 * size) {
    x = image::resize(x, x.size(1) / 2, x.size(2) / 2, {.filter = image::Filter::kBox});
  }
  const double scale = static_cast<double>(size) / static_cast<double>(std::min(x.size(1), x.size(2)));
  const int64_t height = round_half_even(static_cast<double>(x.size(1)) * scale);
  const int64_t width = round_half_even(static_cast<double>(x.size(2)) * scale);
  return image::resize(x, height, width,
                       {.filter = image::Filter::kBicubic,
                        .window = image::Window{(height - size) / 2, (width - size) / 2, size, size}});
}

Tensor resize_short_side(const Tensor& image, int64_t size, image::Filter filter) {
  check_shape(image, {-1, -1, -1}, "resize_short_side: image");
  const int64_t height = image.size(1), width = image.size(2);
  return height <= width ? image::resize(image, size, size * width / height, {.filter = filter})
                         : image::resize(image, size * height / width, size, {.filter = filter});
}

Tensor center_crop(const Tensor& image, int64_t size) {
  check_shape(image, {-1, -1, -1}, "center_crop: image");
  Tensor x = image;
  const int64_t missing_y = std::max<int64_t>(0, size - x.size(1)), missing_x = std::max<int64_t>(0, size - x.size(2));
  if (missing_y > 0 || missing_x > 0) {
    x = at::constant_pad_nd(x, {missing_x / 2, (missing_x + 1) / 2, missing_y / 2, (missing_y + 1) / 2});
  }
  const int64_t top = round_half_even(static_cast<double>(x.size(1) - size) / 2);
  const int64_t left = round_half_even(static_cast<double>(x.size(2) - size) / 2);
  return x.slice(1, top, top + size).slice(2, left, left + size).contiguous();
}

Tensor to_channels(const Tensor& image, int64_t channels) {
  SDG_CHECK(image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3) && image.scalar_type() == at::kByte,
            "to_channels: expected uint8 [1 or 3, H, W], got ", image.scalar_type(), " ", to_string(image.sizes()));
  SDG_CHECK(channels == 1 || channels == 3, "to_channels: channels must be 1 or 3, got ", channels);
  if (image.size(0) == channels) return image;
  if (channels == 3) return image.expand({3, -1, -1}).contiguous();
  const Tensor source = image.contiguous();
  Tensor grey = at::empty({1, image.size(1), image.size(2)}, image.options());
  const int64_t count = grey.numel();
  const auto* red = source.const_data_ptr<uint8_t>();
  const auto* green = red + count;
  const auto* blue = green + count;
  auto* out = grey.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    const uint32_t luma = 19595U * red[i] + 38470U * green[i] + 7471U * blue[i] + 0x8000U;
    out[i] = static_cast<uint8_t>(luma >> 16);
  }
  return grey;
}

}  // namespace sdg::data
