#include "sdg/regions/refine.h"

#include <cmath>

#include "sdg/core/error.h"

namespace sdg::regions {
namespace {

// Means over windows, in the double numbers that differences of means want. [M, S, T] -> the same.
Tensor window_means(const Tensor& values, int64_t radius) {
  return at::avg_pool2d(values.unsqueeze(0), 2 * radius + 1, 1, radius, /*ceil_mode=*/false,
                        /*count_include_pad=*/false)
      .squeeze(0);
}

}  // namespace

Tensor refine(const Tensor& map, const Tensor& picture, const RefineOptions& options) {
  SDG_CHECK(map.dim() == 2 && map.scalar_type() == at::kByte, "map: expected uint8 [S, T], got ",
            to_string(map.sizes()));
  SDG_CHECK(picture.dim() == 3 && picture.scalar_type() == at::kByte && picture.sizes().slice(1) == map.sizes(),
            "picture: expected uint8 [C, ", map.size(0), ", ", map.size(1), "] as the map, got ",
            to_string(picture.sizes()));
  SDG_CHECK_USAGE(options.radius >= 1, "refine: radius: expected at least 1 pixel, got ", options.radius);
  SDG_CHECK_USAGE(std::isfinite(options.epsilon) && options.epsilon > 0,
                  "refine: epsilon: expected a positive number, got ", options.epsilon);
  const auto classes = std::get<0>(at::_unique(map));
  if (classes.numel() == 1) return map.clone();
  const auto channels = picture.size(0);
  const auto means = [&](const Tensor& values) { return window_means(values, options.radius); };

  const auto colour = picture.to(at::kDouble).div_(255);                         // [C, S, T]
  const auto p = map.unsqueeze(0).eq(classes.view({-1, 1, 1})).to(at::kDouble);  // [M, S, T]
  const auto mean_colour = means(colour), mean_p = means(p);
  const auto products = (colour.unsqueeze(0) * colour.unsqueeze(1)).flatten(0, 1);  // [C C, S, T]
  auto spread = means(products).unflatten(0, {channels, channels});                 // [C, C, S, T]
  spread.sub_(mean_colour.unsqueeze(0) * mean_colour.unsqueeze(1));
  spread.add_(at::eye(channels, spread.options()).mul_(options.epsilon).view({channels, channels, 1, 1}));
  const auto together = (colour.unsqueeze(0) * p.unsqueeze(1)).flatten(0, 1);  // [M C, S, T]
  auto common = means(together).unflatten(0, {p.size(0), channels});           // [M, C, S, T]
  common.sub_(mean_colour.unsqueeze(0) * mean_p.unsqueeze(1));
  const auto slope = at::linalg_solve(spread.permute({2, 3, 0, 1}), common.permute({2, 3, 1, 0}));  // [S, T, C, M]
  const auto a = slope.permute({3, 2, 0, 1});                                                       // [M, C, S, T]
  const auto b = mean_p - (a * mean_colour.unsqueeze(0)).sum(1);                                    // [M, S, T]
  const auto mean_a = means(a.flatten(0, 1)).unflatten(0, {p.size(0), channels});
  const auto answer = (mean_a * colour.unsqueeze(0)).sum(1) + means(b);  // [M, S, T]
  // Of equal answers the first: a maximum and not argmax, which promises none.
  auto out = at::full_like(map, classes[-1].item<uint8_t>());
  const auto best = std::get<0>(answer.max(0));
  for (int64_t m = classes.numel() - 2; m >= 0; --m) out.masked_fill_(answer[m].eq(best), classes[m].item<uint8_t>());
  return out;
}

}  // namespace sdg::regions
