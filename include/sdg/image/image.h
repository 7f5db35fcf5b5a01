#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "sdg/core/tensor.h"

namespace sdg::image {
/// Decodes JPEG (libjpeg-turbo with the accurate settings, equal to Pillow's), PNG, BMP (stb_image), WebP of one
/// picture (libwebp) and PPM/PGM to uint8 [C, H, W]: C is 1 for grey files (WebP knows none) and 3 for the rest. Alpha
/// is dropped, palettes and CMYK are resolved, 16 bits become 8, EXIF orientation is not applied. Throws Error that
/// begins with `name` if the bytes are no image, a damaged or cut one, or a PNG with critical chunks that the standard
/// does not know (Apple's CgBI swaps colours).
Tensor decode_image(std::span<const std::byte> bytes, const std::string& name);
Tensor read_image(const std::filesystem::path& path);

/// uint8 [H, W] of a PNG whose pixels are numbers and not colours: the grey values of 8 bits, or the indices into its
/// palette. Throws Error for other PNGs (their values would be scaled or are colours) and for what is no PNG.
Tensor read_png_classes(const std::filesystem::path& path);

/// How the image is to be shown by its EXIF data, or by its XMP where these do not say (JPEG, PNG and WebP): 1 as
/// stored, 2 to 8 mirrored or turned, as in the EXIF standard. 1 for everything else, and for values out of range.
int64_t exif_orientation(std::span<const std::byte> bytes);

/// uint8 [C, H, W] (C 1 or 3) → PNG bytes / file (written atomically). `text`, where not empty, is stored as a tEXt
/// chunk under the keyword "sdg": ASCII without zeros.
std::string encode_png(const Tensor& image, const std::string& text = "");
void write_png(const std::filesystem::path& path, const Tensor& image, const std::string& text = "");

/// The same as lossless WebP, of at most 16383 pixels a side: a grey image gets three equal channels, and `text` is its
/// EXIF's ImageDescription.
std::string encode_webp(const Tensor& image, const std::string& text = "");
/// WebP where the path ends so, PNG elsewhere.
void write_picture(const std::filesystem::path& path, const Tensor& image, const std::string& text = "");

/// uint8 [N, C, H, W] → one picture [C, rows*(H*scale+gap)+gap, columns*(W*scale+gap)+gap] with white gaps; `scale`
/// repeats each pixel; rows = ceil(N / columns), places without an image stay white.
Tensor image_grid(const Tensor& images, int64_t columns, int64_t gap = 2, int64_t scale = 1);

/// float [-1, 1] → uint8 by rounding, with saturation; NaN becomes 0. Any shape, any device.
Tensor to_uint8(const Tensor& images);
}  // namespace sdg::image
