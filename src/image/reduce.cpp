#include <algorithm>
#include <type_traits>

#include "sdg/core/error.h"
#include "sdg/image/resize.h"

namespace sdg::image {
namespace {

// Pillow divides by a 24-bit reciprocal; blocks at the far edges are divided by the pixels they have.
template <class Pixel>
Pixel block_mean(const Pixel* first, int64_t stride, int64_t height, int64_t width) {
  const int64_t count = height * width;
  if constexpr (std::is_same_v<Pixel, uint8_t>) {
    const auto reciprocal = static_cast<uint32_t>((int64_t{1} << 24) / count);
    auto sum = static_cast<uint32_t>(count / 2);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) sum += first[y * stride + x];
    }
    return static_cast<uint8_t>((sum * reciprocal) >> 24);
  } else {
    double sum = 0;
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) sum += first[y * stride + x];
    }
    return static_cast<Pixel>(sum * (1.0 / static_cast<double>(count)));
  }
}

template <class Pixel>
Tensor reduce_blocks(const Tensor& image, int64_t factor_y, int64_t factor_x, const Window& part) {
  const int64_t rows = (part.height + factor_y - 1) / factor_y, columns = (part.width + factor_x - 1) / factor_x;
  const int64_t channels = image.size(0), stride = image.size(2);
  Tensor out = at::empty({channels, rows, columns}, image.options());
  auto* target = out.mutable_data_ptr<Pixel>();
  for (int64_t c = 0; c < channels; ++c) {
    const Pixel* plane = image.const_data_ptr<Pixel>() + c * image.size(1) * stride + part.top * stride + part.left;
    for (int64_t y = 0; y < rows; ++y) {
      const int64_t height = std::min(factor_y, part.height - y * factor_y);
      for (int64_t x = 0; x < columns; ++x) {
        const int64_t width = std::min(factor_x, part.width - x * factor_x);
        *target++ = block_mean(plane + y * factor_y * stride + x * factor_x, stride, height, width);
      }
    }
  }
  return out;
}

}  // namespace

Tensor reduce(const Tensor& image, int64_t factor_y, int64_t factor_x, const Window& part) {
  SDG_CHECK(image.dim() == 3 && (image.scalar_type() == at::kByte || image.scalar_type() == at::kFloat),
            "reduce: expected a uint8 or float32 image [C, H, W], got ", image.scalar_type(), " ",
            to_string(image.sizes()));
  SDG_CHECK(factor_y > 0 && factor_x > 0, "reduce: factors must be at least 1, got ", factor_y, " and ", factor_x);
  SDG_CHECK(part.top >= 0 && part.left >= 0 && part.height > 0 && part.width > 0 &&
                part.top + part.height <= image.size(1) && part.left + part.width <= image.size(2),
            "reduce: the part must lie inside the image ", to_string(image.sizes()));
  const Tensor source = image.contiguous();
  return source.scalar_type() == at::kByte ? reduce_blocks<uint8_t>(source, factor_y, factor_x, part)
                                           : reduce_blocks<float>(source, factor_y, factor_x, part);
}

}  // namespace sdg::image
