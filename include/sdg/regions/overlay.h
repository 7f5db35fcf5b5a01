#pragma once
#include "sdg/core/tensor.h"
#include "sdg/regions/box.h"

/// Pictures of images with what was found in them.
namespace sdg::regions {

/// uint8 [C, H, W] enlarged `scale` times, in colour, with the box's outline, one pixel of the enlarged picture wide.
Tensor with_box(const Tensor& image, const Box& box, int64_t scale);

/// uint8 [C, S, S] enlarged `scale` times, in colour, with the classes of uint8 [S, S] laid over it, a colour a class;
/// 255 leaves the image as it is.
Tensor with_map(const Tensor& image, const Tensor& map, int64_t scale);

}  // namespace sdg::regions
