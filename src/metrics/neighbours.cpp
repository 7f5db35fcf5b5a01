#include "sdg/metrics/neighbours.h"

#include <torch/types.h>

#include "metrics/distance_blocks_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"

namespace sdg::metrics {
namespace {

// Without its own row where the two sets are one.
Neighbours found(const DistanceBlocks& blocks, int64_t k, bool others) {
  const auto rows = blocks.from().size(0), columns = blocks.to().size(0);
  SDG_CHECK(k >= 1 && columns - (others ? 1 : 0) >= k, "neighbours: expected at least ", k,
            others ? " other images" : " images", " to choose from, got ", columns - (others ? 1 : 0));
  Neighbours out{at::full({rows, k}, std::numeric_limits<double>::infinity(), at::kDouble),
                 at::zeros({rows, k}, at::kLong)};
  blocks.for_each([&](int64_t row, int64_t column, const Tensor& squares) {
    const auto n = squares.size(0), m = squares.size(1);
    if (others)  // the diagonal, where it runs through this block
      for (int64_t i = 0; i < n; ++i)
        if (row + i >= column && row + i < column + m)
          squares[i][row + i - column] = std::numeric_limits<double>::infinity();
    auto best = out.distances.narrow(0, row, n), places = out.places.narrow(0, row, n);
    const Tensor columns_here = at::arange(column, column + m).expand({n, m});
    const auto [least, which] = at::topk(at::cat({best, squares}, 1), k, 1, /*largest=*/false);
    places.copy_(at::cat({places, columns_here}, 1).gather(1, which));
    best.copy_(least);
  });
  // Differences themselves: squares of near neighbours, taken from products, have lost their digits.
  worker_pool().run(rows, [&](int64_t row) {
    const Tensor near = blocks.to().index_select(0, out.places[row]);  // [k, D]
    const auto [distances, order] = (near - blocks.from()[row]).square().sum(1).sqrt().sort(0);
    out.places[row].copy_(out.places[row].index_select(0, order));
    out.distances[row].copy_(distances);
  });
  return out;
}

}  // namespace

Neighbours nearest(const Tensor& from, const Tensor& to, int64_t k) {
  torch::NoGradGuard no_grad;
  return found(DistanceBlocks(from, to, "neighbours"), k, false);
}

Neighbours nearest_others(const Tensor& rows, int64_t k) {
  torch::NoGradGuard no_grad;
  return found(DistanceBlocks(rows, rows, "neighbours"), k, true);
}

}  // namespace sdg::metrics
