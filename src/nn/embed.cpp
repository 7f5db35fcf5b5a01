#include "sdg/nn/embed.h"

#include <ATen/ATen.h>

#include <cmath>

#include "sdg/core/error.h"

namespace sdg::nn {

Tensor time_embedding(const Tensor& t, int64_t dim) {
  const auto half = dim / 2;
  const auto time = t.scalar_type() == at::kDouble ? t : t.to(at::kFloat);
  const auto frequencies = at::exp(at::arange(half, time.options()) * (-std::log(10000.0) / static_cast<double>(half)));
  const auto angles = time.unsqueeze(1) * frequencies;  // [N, half]
  auto parts = std::vector<Tensor>{angles.cos(), angles.sin()};
  if (dim % 2 == 1) parts.push_back(at::zeros({t.size(0), 1}, time.options()));
  return at::cat(parts, 1);  // [N, dim]
}

Tensor sincos_position_table(int64_t dim, int64_t grid) {
  SDG_CHECK(dim % 4 == 0, "position table: the width must be a multiple of 4, got ", dim);
  const auto quarter = static_cast<double>(dim) / 4;
  const auto frequencies = at::exp(at::arange(dim / 4, at::kDouble) * (-std::log(10000.0) / quarter));
  const auto angles = at::arange(grid, at::kDouble).unsqueeze(1) * frequencies;  // [grid, dim/4]
  const auto axis = at::cat({angles.sin(), angles.cos()}, 1);                    // [grid, dim/2]
  const auto of_column = axis.unsqueeze(0).expand({grid, grid, dim / 2});
  const auto of_row = axis.unsqueeze(1).expand({grid, grid, dim / 2});
  return at::cat({of_column, of_row}, 2).reshape({grid * grid, dim}).to(at::kFloat);  // [L, D]
}

}  // namespace sdg::nn
