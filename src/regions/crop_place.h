#pragma once
#include <cstdint>

namespace sdg::regions {

/// Where the middle square of data/crop.h lies: a point (x, y) of the picture is at (x scale_x - left, y scale_y -
/// top).
struct CropPlace {
  double scale_x = 1, scale_y = 1, left = 0, top = 0;
};

/// Of a picture of height x width pixels and a square of `side`, with the roundings of adm_center_crop.
CropPlace crop_place(int64_t height, int64_t width, int64_t side);

}  // namespace sdg::regions
