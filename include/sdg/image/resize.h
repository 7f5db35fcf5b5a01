#pragma once
#include <array>
#include <optional>

#include "sdg/core/tensor.h"

/// Image resampling that gives Pillow's bytes, so that data and metrics agree with those of the Python tools.
namespace sdg::image {

/// Kernels and their reach in source pixels when enlarging: box 0.5, bilinear 1, Hamming-windowed sinc 1, Keys' cubic
/// with a = -0.5 2, Lanczos 3. When shrinking they are stretched by the factor, which is what prevents aliasing.
/// Nearest takes one pixel.
enum class Filter { kNearest, kBox, kBilinear, kHamming, kBicubic, kLanczos };
constexpr auto names_of(Filter) {
  return std::array{"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};
}

/// A part of the source image in pixels; fractions are allowed.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
};

/// A part of the result, in its own pixels: only that part is computed.
struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
};

struct ResizeOptions {
  Filter filter = Filter::kBicubic;
  std::optional<Box> box{};  ///< what to resize; all of the image if empty
  double reducing_gap =
      0;  ///< > 0: first averages whole blocks down to no less than that multiple of the target (Pillow's argument)
  std::optional<Window> window{};  ///< what to return; everything if empty
};

/// Pillow 13's `Image.resize`: [C, H, W] → [C, height, width]. uint8 is bit-exact: weights in 22-bit fixed point, the
/// first pass rounded to uint8 before the second, a pass skipped where the size stays. The horizontal pass comes first
/// unless the height loses more than twice the pixels that the width loses (new in Pillow 13; older versions differ
/// there by a few levels). float32 is Pillow's mode F: double sums. Throws Error unless the image is a non-empty CPU
/// tensor of one of the two types and the box lies inside it.
Tensor resize(const Tensor& image, int64_t height, int64_t width, const ResizeOptions& options = {});

/// Pillow's `Image.reduce`: means of factor_y x factor_x blocks of `part` (window of the source), smaller at the far
/// edges.
Tensor reduce(const Tensor& image, int64_t factor_y, int64_t factor_x, const Window& part);

}  // namespace sdg::image
