#include "sdg/image/resize.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <type_traits>
#include <vector>

#include "sdg/core/error.h"

namespace sdg::image {
namespace {

double sinc(double x) {
  return x == 0 ? 1.0 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi);
}

double reach(Filter filter) {
  switch (filter) {
    case Filter::kNearest:
      return 0;
    case Filter::kBox:
      return 0.5;
    case Filter::kBilinear:
    case Filter::kHamming:
      return 1;
    case Filter::kBicubic:
      return 2;
    case Filter::kLanczos:
      return 3;
  }
  return 0;
}

double kernel(Filter filter, double signed_x) {
  const double x = std::abs(signed_x);
  switch (filter) {
    case Filter::kNearest:
      return 0;
    case Filter::kBox:
      return signed_x > -0.5 && signed_x <= 0.5 ? 1 : 0;
    case Filter::kBilinear:
      return x < 1 ? 1 - x : 0;
    case Filter::kHamming:
      // The window's constants are single precision in Pillow.
      return x < 1 ? sinc(x) * (0.54F + 0.46F * std::cos(std::numbers::pi * x)) : 0;
    case Filter::kBicubic: {
      constexpr double a = -0.5;
      if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
    }
    case Filter::kLanczos:
      return signed_x >= -3 && signed_x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  return 0;
}

// What each output row or column sums: `count` source positions, `start` after the first that any of them touches, and
// their weights.
template <class Weight>
struct Taps {
  struct Span {
    int64_t start, count, offset;
  };
  std::vector<Span> spans;
  std::vector<Weight> weights;
  int64_t first = 0, last = 0;  // the source positions that they touch, together
};

constexpr int kFraction = 22;  // bits: 8 for the pixel and 2 of headroom for overshoot leave 22 of 32

template <class Weight>
Weight quantise(double weight) {
  if constexpr (std::is_same_v<Weight, double>) {
    return weight;
  } else {
    return static_cast<Weight>(weight * (1 << kFraction) + (weight < 0 ? -0.5 : 0.5));
  }
}

// An axis of `in` pixels, of which [from, to) becomes `out` pixels, of which [first, first + count) are wanted.
struct Axis {
  int64_t in;
  float from, to;  // Pillow keeps the box in single precision
  int64_t out, first, count;
  bool unchanged() const { return in == out && from == 0 && to == static_cast<float>(out); }
};

template <class Weight>
Taps<Weight> make_taps(const Axis& axis, Filter filter) {
  const double scale = static_cast<double>(axis.to - axis.from) / static_cast<double>(axis.out);
  const double stretch = std::max(scale, 1.0);
  const double support = reach(filter) * stretch;
  Taps<Weight> taps;
  if (axis.unchanged()) {  // no spans: the pass is a copy
    taps.first = axis.first;
    taps.last = axis.first + axis.count;
    return taps;
  }
  std::vector<double> raw;
  for (int64_t i = axis.first; i < axis.first + axis.count; ++i) {
    const double center = axis.from + (static_cast<double>(i) + 0.5) * scale;
    // NOLINTBEGIN(bugprone-incorrect-roundings): Pillow cuts off, and the first is not below 0
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
    const int64_t last = std::min(axis.in, static_cast<int64_t>(center + support + 0.5));
    // NOLINTEND(bugprone-incorrect-roundings)
    raw.clear();
    double sum = 0;
    for (int64_t x = first; x < last; ++x) {
      raw.push_back(kernel(filter, (static_cast<double>(x) - center + 0.5) * (1.0 / stretch)));
      sum += raw.back();
    }
    taps.spans.push_back({first, last - first, static_cast<int64_t>(taps.weights.size())});
    for (const double weight : raw) taps.weights.push_back(quantise<Weight>(sum == 0 ? weight : weight / sum));
  }
  taps.first = taps.spans.front().start;
  taps.last = taps.spans.back().start + taps.spans.back().count;
  for (auto& span : taps.spans) span.start -= taps.first;
  return taps;
}

template <class Pixel>
using WeightOf = std::conditional_t<std::is_same_v<Pixel, uint8_t>, int32_t, double>;

template <class Pixel>
Pixel finish(WeightOf<Pixel> sum) {
  if constexpr (std::is_same_v<Pixel, uint8_t>) {
    return static_cast<uint8_t>(std::clamp(sum >> kFraction, 0, 255));
  } else {
    return static_cast<Pixel>(sum);
  }
}

template <class Pixel>
constexpr WeightOf<Pixel> kBias = std::is_same_v<Pixel, uint8_t> ? (1 << (kFraction - 1)) : 0;

// [C, H, columns the taps touch] → [C, H, spans]
template <class Pixel>
Tensor across(const Tensor& image, const Taps<WeightOf<Pixel>>& taps) {
  if (taps.spans.empty()) return image;
  Tensor result = at::empty({image.size(0), image.size(1), static_cast<int64_t>(taps.spans.size())}, image.options());
  const Pixel* row = image.const_data_ptr<Pixel>();
  Pixel* out = result.mutable_data_ptr<Pixel>();
  for (int64_t y = 0; y < image.size(0) * image.size(1); ++y, row += image.size(2)) {
    for (const auto& span : taps.spans) {
      const auto* weights = taps.weights.data() + span.offset;
      auto sum = kBias<Pixel>;
      for (int64_t k = 0; k < span.count; ++k) sum += row[span.start + k] * weights[k];
      *out++ = finish<Pixel>(sum);
    }
  }
  return result;
}

// [C, rows the taps touch, W] → [C, spans, W]. Whole rows are summed at once, which vectorises.
template <class Pixel>
Tensor down(const Tensor& image, const Taps<WeightOf<Pixel>>& taps) {
  if (taps.spans.empty()) return image;
  const int64_t width = image.size(2);
  Tensor result = at::empty({image.size(0), static_cast<int64_t>(taps.spans.size()), width}, image.options());
  Pixel* out = result.mutable_data_ptr<Pixel>();
  std::vector<WeightOf<Pixel>> sums(static_cast<size_t>(width));
  for (int64_t c = 0; c < image.size(0); ++c) {
    const Pixel* plane = image.const_data_ptr<Pixel>() + c * image.size(1) * width;
    for (const auto& span : taps.spans) {
      std::fill(sums.begin(), sums.end(), kBias<Pixel>);
      for (int64_t k = 0; k < span.count; ++k) {
        const Pixel* row = plane + (span.start + k) * width;
        const auto weight = taps.weights[static_cast<size_t>(span.offset + k)];
        for (int64_t x = 0; x < width; ++x) sums[x] += row[x] * weight;
      }
      for (int64_t x = 0; x < width; ++x) *out++ = finish<Pixel>(sums[x]);
    }
  }
  return result;
}

// Pillow 13 begins with the rows where the height shrinks by more than twice what the width does; versions before it
// never did.
bool rows_first(const Axis& vertical, const Axis& horizontal) {
  const int64_t lost_rows = vertical.in - vertical.out, lost_columns = horizontal.in - horizontal.out;
  return lost_rows > 0 && lost_rows > 2 * lost_columns;
}

template <class Pixel>
Tensor resample(const Tensor& image, const Axis& vertical, const Axis& horizontal, Filter filter) {
  const auto rows = make_taps<WeightOf<Pixel>>(vertical, filter);
  const auto columns = make_taps<WeightOf<Pixel>>(horizontal, filter);
  const Tensor part = image.slice(1, rows.first, rows.last).slice(2, columns.first, columns.last).contiguous();
  return rows_first(vertical, horizontal) ? across<Pixel>(down<Pixel>(part, rows), columns)
                                          : down<Pixel>(across<Pixel>(part, columns), rows);
}

// Positions are summed step by step, as Pillow does: a product could fall on the other side of a pixel's edge.
std::vector<int64_t> nearest_positions(const Axis& axis) {
  const double step = static_cast<double>(axis.to - axis.from) / static_cast<double>(axis.out);
  std::vector<int64_t> positions;
  double at = axis.from + step * 0.5;
  for (int64_t i = 0; i < axis.first + axis.count; ++i, at += step) {
    if (i >= axis.first) positions.push_back(std::clamp<int64_t>(static_cast<int64_t>(at), 0, axis.in - 1));
  }
  return positions;
}

Tensor pick_nearest(const Tensor& image, const Axis& vertical, const Axis& horizontal) {
  const auto pick = [](const std::vector<int64_t>& positions) { return at::tensor(positions, at::kLong); };
  return image.index_select(1, pick(nearest_positions(vertical))).index_select(2, pick(nearest_positions(horizontal)));
}

// The part of the image that pixels of the box can be made of.
Window reachable(const Tensor& image, const Box& box, int64_t height, int64_t width, Filter filter) {
  const double margin = reach(filter) - 0.5;
  const double margin_x = margin * (box.right - box.left) / static_cast<double>(width);
  const double margin_y = margin * (box.bottom - box.top) / static_cast<double>(height);
  const auto left = std::max<int64_t>(0, static_cast<int64_t>(box.left - margin_x));
  const auto top = std::max<int64_t>(0, static_cast<int64_t>(box.top - margin_y));
  const auto right = std::min(image.size(2), static_cast<int64_t>(std::ceil(box.right + margin_x)));
  const auto bottom = std::min(image.size(1), static_cast<int64_t>(std::ceil(box.bottom + margin_y)));
  return {top, left, bottom - top, right - left};
}

void check_image(const Tensor& image, const char* where) {
  const bool good = image.defined() && image.dim() == 3 && image.numel() > 0 && image.is_cpu() &&
                    (image.scalar_type() == at::kByte || image.scalar_type() == at::kFloat);
  SDG_CHECK(good, where, ": expected a non-empty uint8 or float32 image [C, H, W] on the CPU, got ",
            image.defined() ? cat(image.scalar_type(), " ", to_string(image.sizes()), " on ", image.device())
                            : std::string("an undefined tensor"));
}

}  // namespace

Tensor resize(const Tensor& image, int64_t height, int64_t width, const ResizeOptions& options) {
  check_image(image, "resize");
  SDG_CHECK(height > 0 && width > 0, "resize: the target must have at least one pixel, got ", height, " x ", width);
  Tensor source = image.contiguous();
  Box box = options.box.value_or(Box{0, 0, static_cast<double>(image.size(2)), static_cast<double>(image.size(1))});
  SDG_CHECK(box.left >= 0 && box.top >= 0 && box.left < box.right && box.top < box.bottom &&
                box.right <= static_cast<double>(image.size(2)) && box.bottom <= static_cast<double>(image.size(1)),
            "resize: the box (", box.left, ", ", box.top, ", ", box.right, ", ", box.bottom,
            ") must lie inside the image of height ", image.size(1), " and width ", image.size(2));
  const Window window = options.window.value_or(Window{0, 0, height, width});
  SDG_CHECK(window.top >= 0 && window.left >= 0 && window.height > 0 && window.width > 0 &&
                window.top + window.height <= height && window.left + window.width <= width,
            "resize: the window must lie inside the result of ", height, " x ", width);

  if (options.reducing_gap > 0 && options.filter != Filter::kNearest) {
    const auto factor = [&](double extent, int64_t target) {
      return std::max<int64_t>(1, static_cast<int64_t>(extent / static_cast<double>(target) / options.reducing_gap));
    };
    const int64_t factor_x = factor(box.right - box.left, width), factor_y = factor(box.bottom - box.top, height);
    if (factor_x > 1 || factor_y > 1) {
      const Window part = reachable(source, box, height, width, options.filter);
      source = reduce(source, factor_y, factor_x, part);
      const auto left = static_cast<double>(part.left), top = static_cast<double>(part.top);
      const auto fx = static_cast<double>(factor_x), fy = static_cast<double>(factor_y);
      box = {(box.left - left) / fx, (box.top - top) / fy, (box.right - left) / fx, (box.bottom - top) / fy};
    }
  }

  const Axis vertical{source.size(1), static_cast<float>(box.top), static_cast<float>(box.bottom), height, window.top,
                      window.height};
  const Axis horizontal{source.size(2), static_cast<float>(box.left), static_cast<float>(box.right), width, window.left,
                        window.width};
  if (options.filter == Filter::kNearest) return pick_nearest(source, vertical, horizontal);
  return source.scalar_type() == at::kByte ? resample<uint8_t>(source, vertical, horizontal, options.filter)
                                           : resample<float>(source, vertical, horizontal, options.filter);
}

}  // namespace sdg::image
