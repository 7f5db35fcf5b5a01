#pragma once
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::io {
/// Decodes JPEG (libjpeg-turbo), PNG, BMP, PPM/PGM, GIF, TGA (stb_image) to uint8 [C, H, W]: C is 1 for grey files and 3 for the rest
/// (alpha dropped, palettes and CMYK resolved). Throws Error naming `name` if the bytes are no image.
Tensor decode_image(std::span<const std::byte> bytes, const std::string& name);
Tensor read_image(const std::filesystem::path& path);

/// uint8 [C, H, W] (C 1 or 3) → PNG bytes / file (written atomically).
std::string encode_png(const Tensor& image);
void write_png(const std::filesystem::path& path, const Tensor& image);

/// uint8 [N, C, H, W] → one picture [C, rows*(H+gap)+gap, columns*(W+gap)+gap] with white gaps; `scale` repeats each pixel.
Tensor image_grid(const Tensor& images, int64_t columns, int64_t gap = 2, int64_t scale = 1);

/// float [-1, 1] → uint8 by rounding, with saturation.
Tensor to_uint8(const Tensor& images);
}  // namespace sdg::io
