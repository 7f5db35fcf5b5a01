#include "sdg/regions/box.h"

#include <algorithm>
#include <cmath>

#include "regions/crop_place.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/shape.h"

namespace sdg::regions {

CropPlace crop_place(int64_t height, int64_t width, int64_t side) {
  auto h = height, w = width;
  while (std::min(h, w) >= 2 * side) h /= 2, w /= 2;
  const double scale = static_cast<double>(side) / static_cast<double>(std::min(h, w));
  const auto whole = [&](int64_t n) { return static_cast<int64_t>(std::nearbyint(static_cast<double>(n) * scale)); };
  CropPlace out;
  out.scale_y = static_cast<double>(whole(h)) / static_cast<double>(height);
  out.scale_x = static_cast<double>(whole(w)) / static_cast<double>(width);
  const auto top = (whole(h) - side) / 2, left = (whole(w) - side) / 2;  // whole pixels
  out.top = static_cast<double>(top);
  out.left = static_cast<double>(left);
  return out;
}

Box common(const Box& box, const Box& other) {
  const Box out{std::max(box.left, other.left), std::max(box.top, other.top), std::min(box.right, other.right),
                std::min(box.bottom, other.bottom)};
  return out.empty() ? Box() : out;
}

double overlap(const Box& a, const Box& b) {
  const double both = common(a, b).area(), either = a.area() + b.area() - both;
  return either > 0 ? both / either : 0;
}

Tensor box_map(const Box& box, int64_t side) {
  const auto middles = at::arange(side).to(at::kDouble) + 0.5;
  const auto inside = [&](double from, double to) { return middles.ge(from).logical_and(middles.lt(to)); };
  const auto map = inside(box.top, box.bottom).unsqueeze(1).logical_and(inside(box.left, box.right).unsqueeze(0));
  return map.to(at::kByte);
}

Tensor to_tensor(const std::vector<Box>& boxes) {
  auto out = at::zeros({static_cast<int64_t>(boxes.size()), 4}, at::kFloat);
  auto* row = out.mutable_data_ptr<float>();
  for (const auto& box : boxes) {
    const auto kept = box.empty() ? Box() : box;
    for (const double number : {kept.left, kept.top, kept.right, kept.bottom}) *row++ = static_cast<float>(number);
  }
  return out;
}

std::vector<Box> to_boxes(const Tensor& boxes, const std::string& where) {
  SDG_CHECK(boxes.dim() == 2 && boxes.size(1) == 4, where,
            ": boxes must be [images, 4]: left, top, right, bottom, got ", to_string(boxes.sizes()));
  const auto rows = boxes.to(at::kDouble).contiguous();
  const auto* numbers = rows.const_data_ptr<double>();
  std::vector<Box> out;
  for (int64_t i = 0; i < rows.size(0); ++i, numbers += 4) {
    const bool finite = std::all_of(numbers, numbers + 4, [](double x) { return std::isfinite(x); });
    SDG_CHECK(finite, where, ": the box of image ", i, " holds numbers that are not finite");
    out.push_back({numbers[0], numbers[1], numbers[2], numbers[3]});
  }
  return out;
}

Box in_center_crop(const Box& box, int64_t height, int64_t width, int64_t side) {
  const auto place = crop_place(height, width, side);
  const Box moved{box.left * place.scale_x - place.left, box.top * place.scale_y - place.top,
                  box.right * place.scale_x - place.left, box.bottom * place.scale_y - place.top};
  const auto end = static_cast<double>(side);
  return common(moved, {0, 0, end, end});
}

}  // namespace sdg::regions
