#pragma once
// The decoders behind decode_image, one per container. Each throws Error that begins with `name`.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::image {

Tensor decode_jpeg(std::span<const std::byte> bytes, const std::string& name);         // [C, H, W]
Tensor decode_png(std::span<const std::byte> bytes, const std::string& name);          // [C, H, W]
Tensor decode_png_classes(std::span<const std::byte> bytes, const std::string& name);  // [H, W]
Tensor decode_bmp(std::span<const std::byte> bytes, const std::string& name);          // [C, H, W]
Tensor decode_pnm(std::span<const std::byte> bytes, const std::string& name);          // [C, H, W]
Tensor decode_webp(std::span<const std::byte> bytes, const std::string& name);         // [3, H, W]

bool is_webp(std::span<const std::byte> bytes);

/// uint8 [H, W, C] to fill; refuses sizes that only a damaged or hostile header states.
Tensor allocate_pixels(int64_t height, int64_t width, int64_t channels, const std::string& name);

}  // namespace sdg::image
