#include "sdg/regions/overlay.h"

#include <algorithm>
#include <cmath>

#include "sdg/core/shape.h"

namespace sdg::regions {
namespace {

// float [3, H * scale, W * scale], 0 … 255
Tensor enlarged(const Tensor& image, int64_t scale) {
  const auto colour = image.size(0) == 3 ? image : image.expand({3, -1, -1});
  return colour.repeat_interleave(scale, 1).repeat_interleave(scale, 2).to(at::kFloat);
}

// float [254, 3]: colours far from each other, of hues in golden-ratio steps.
Tensor colours(int64_t count) {
  constexpr double kStep = 0.6180339887498949, kThird = 1.0 / 3;
  auto out = at::empty({count, 3}, at::kFloat);
  auto* row = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < count; ++i) {
    const double hue = std::fmod(static_cast<double>(i) * kStep, 1), light = i % 2 == 0 ? 255 : 170;
    for (int channel = 0; channel < 3; ++channel) {
      const double distance = std::abs(std::fmod(hue + channel * kThird, 1) - 0.5) * 6 - 1;
      *row++ = static_cast<float>(light * std::clamp(distance, 0.0, 1.0));
    }
  }
  return out;
}

}  // namespace

Tensor with_box(const Tensor& image, const Box& box, int64_t scale) {
  check_shape(image, {-1, -1, -1}, "with_box: image");
  auto out = enlarged(image, scale);
  if (box.empty()) return out.to(at::kByte);
  const auto line = [&](double at, int64_t size) {
    return std::clamp<int64_t>(std::llround(at * static_cast<double>(scale)), 0, size);
  };
  const auto left = line(box.left, out.size(2) - 1), right = std::max(left + 1, line(box.right, out.size(2)));
  const auto top = line(box.top, out.size(1) - 1), bottom = std::max(top + 1, line(box.bottom, out.size(1)));
  const auto red = at::tensor({255.F, 40.F, 40.F}).view({3, 1});
  for (const auto row : {top, bottom - 1})
    out.select(1, row).slice(1, left, right).copy_(red.expand({3, right - left}));
  for (const auto column : {left, right - 1})
    out.select(2, column).slice(1, top, bottom).copy_(red.expand({3, bottom - top}));
  return out.to(at::kByte);
}

Tensor with_map(const Tensor& image, const Tensor& map, int64_t scale) {
  check_shape(map, {image.size(1), image.size(2)}, "with_map: map");
  constexpr int64_t kNoClass = 255;
  constexpr double kShare = 0.5;
  const auto large = map.repeat_interleave(scale, 0).repeat_interleave(scale, 1).to(at::kLong);
  const auto colour = colours(kNoClass + 1).index_select(0, large.flatten()).view({large.size(0), large.size(1), 3});
  const auto plain = enlarged(image, scale), mixed = plain * (1 - kShare) + colour.permute({2, 0, 1}) * kShare;
  return at::where(large.eq(kNoClass).unsqueeze(0), plain, mixed).round().to(at::kByte);
}

}  // namespace sdg::regions
