#pragma once
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

/// Where things are in a picture.
namespace sdg::regions {

/// Pixels from (left, top) to (right, bottom), the end outside; x runs right, y down. A box without an area is none.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;

  bool empty() const { return !(right > left && bottom > top); }
  double area() const { return empty() ? 0 : (right - left) * (bottom - top); }
  bool operator==(const Box&) const = default;
};

/// The part of `box` inside `other`.
Box common(const Box& box, const Box& other);
/// Area of both over area of either, 0 … 1; 0 where one of them is none.
double overlap(const Box& a, const Box& b);

/// uint8 [side, side]: 1 where a pixel's middle lies in the box.
Tensor box_map(const Box& box, int64_t side);

/// float32 [N, 4]: left, top, right, bottom of each; a row of zeros for none.
Tensor to_tensor(const std::vector<Box>& boxes);
/// Back from any type. Throws Error, beginning with `where`, for another shape, and naming the row for numbers that are
/// not finite.
std::vector<Box> to_boxes(const Tensor& boxes, const std::string& where);

/// Boxes of a picture of height x width pixels as they stand in its middle square of `side` pixels, as data/crop.h cuts
/// it (adm_center_crop); what is cut off is cut off the box, which may leave none.
Box in_center_crop(const Box& box, int64_t height, int64_t width, int64_t side);

}  // namespace sdg::regions
