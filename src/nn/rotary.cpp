#include "sdg/nn/rotary.h"

#include <cmath>

#include "sdg/core/error.h"

namespace sdg::nn {

Tensor rotary_table(int64_t width, int64_t grid, int64_t extra) {
  SDG_CHECK(width > 0 && width % 4 == 0, "rotary positions: the width of a head must be a multiple of 4, got ", width);
  const auto half = width / 2;
  const auto frequencies = at::pow(10000.0, -at::arange(0, half, 2, at::kDouble) / static_cast<double>(half));
  const auto angles = at::outer(at::arange(grid, at::kDouble), frequencies).repeat_interleave(2, 1);  // [grid, half]
  const auto all =
      at::cat({angles.unsqueeze(1).expand({grid, grid, half}), angles.unsqueeze(0).expand({grid, grid, half})}, 2)
          .reshape({grid * grid, width});
  const auto turned = at::cat({at::zeros({extra, width}, at::kDouble), all});
  return at::stack({turned.cos(), turned.sin()}).to(at::kFloat);
}

Tensor rotated(const Tensor& x, const Tensor& table) {
  const auto cosines = table[0].unsqueeze(1).to(x.scalar_type()), sines = table[1].unsqueeze(1).to(x.scalar_type());
  const auto pairs = x.unflatten(-1, {-1, 2}).unbind(-1);
  return x * cosines + at::stack({-pairs[1], pairs[0]}, -1).flatten(-2) * sines;
}

}  // namespace sdg::nn
