#pragma once
#include "sdg/core/tensor.h"
#include "sdg/image/resize.h"

namespace sdg::data {

/// uint8 [C, H, W] → uint8 [C, size, size] as guided-diffusion, DiT and SiT prepare ImageNet: halve with a box filter
/// while the short side is at least 2 * size, resize so that the short side is `size` (bicubic), cut the centre.
/// The rule with its roundings: docs/math.md, "Resizing and cropping".
Tensor adm_center_crop(const Tensor& image, int64_t size);

/// Resizes so that the short side is `size`; the long one is truncated to whole pixels (torchvision's Resize).
Tensor resize_short_side(const Tensor& image, int64_t size, image::Filter filter);

/// [C, H, W] → [C, size, size]; offsets are halves rounded to even, what lies outside is zero (torchvision's
/// CenterCrop).
Tensor center_crop(const Tensor& image, int64_t size);

/// uint8 [1 or 3, H, W] → uint8 [channels, H, W]. Colour to grey is ITU-R 601-2 luma, (19595 R + 38470 G + 7471 B +
/// 32768) >> 16, as Pillow's convert("L"); grey to colour repeats the plane.
Tensor to_channels(const Tensor& image, int64_t channels);

}  // namespace sdg::data
