#include "sdg/metrics/neighbours.h"

#include <torch/types.h>

#include <algorithm>
#include <limits>

#include "metrics/distance_blocks_impl.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"

namespace sdg::metrics {
namespace {

constexpr int64_t kSpare = 8;  // candidates beyond k, so that the bounds nearly always tell the k nearest

// `own`: the place in `to` that each row must not find, or undefined.
Neighbours found(const DistanceBlocks& blocks, int64_t k, const Tensor& own) {
  const auto rows = blocks.rows(), columns = blocks.columns(), there = columns - (own.defined() ? 1 : 0);
  SDG_CHECK(k >= 1 && there >= k, "neighbours: expected at least ", k, own.defined() ? " other images" : " images",
            " to choose from, got ", there);
  const auto candidates = std::min(k + kSpare, there);
  constexpr double kFar = std::numeric_limits<double>::infinity();
  const Tensor bounds = at::full({rows, candidates}, kFar, at::kDouble),
               at_all = at::zeros({rows, candidates}, at::kLong);
  blocks.for_each([&](int64_t row, int64_t column, const Tensor& lower) {
    const auto n = lower.size(0), m = lower.size(1);
    for (int64_t i = 0; own.defined() && i < n; ++i) {
      const auto place = own.const_data_ptr<int64_t>()[row + i] - column;
      if (place >= 0 && place < m) lower[i][place] = kFar;
    }
    const auto best = bounds.narrow(0, row, n), places = at_all.narrow(0, row, n);
    const auto [some, which] = at::topk(lower, std::min(candidates, m), 1, /*largest=*/false);
    const auto [least, chosen] = at::topk(at::cat({best, some.to(at::kDouble)}, 1), candidates, 1, /*largest=*/false);
    places.copy_(at::cat({places, which + column}, 1).gather(1, chosen));
    best.copy_(least);
  });
  Neighbours out{at::empty({rows, k}, at::kDouble), at::empty({rows, k}, at::kLong)};
  const Tensor open = at::zeros({rows}, at::kBool);
  worker_pool().run(rows, [&](int64_t row) {
    const Tensor places = at_all[row];
    const auto [squares, order] = blocks.squares_of(at::full_like(places, row), places).sort(0);
    out.distances[row].copy_(squares.narrow(0, 0, k).sqrt());
    out.places[row].copy_(places.index_select(0, order.narrow(0, 0, k)));
    // What is no candidate is as far as the last candidate's bound at least.
    if (candidates < there && squares[k - 1].item<double>() > bounds[row].max().item<double>()) open[row] = true;
  });
  const Tensor again = open.nonzero().flatten();
  if (again.size(0) == 0 || blocks.is_close()) return out;
  const auto closer = found(blocks.closer(again), k, own.defined() ? own.index_select(0, again) : own);
  out.distances.index_copy_(0, again, closer.distances);
  out.places.index_copy_(0, again, closer.places);
  return out;
}

}  // namespace

Neighbours nearest(const Tensor& from, const Tensor& to, int64_t k) {
  torch::NoGradGuard no_grad;
  return found(DistanceBlocks(from, to, "neighbours"), k, {});
}

Neighbours nearest_others(const Tensor& rows, int64_t k) {
  torch::NoGradGuard no_grad;
  return found(DistanceBlocks(rows, rows, "neighbours"), k, at::arange(rows.size(0)));
}

}  // namespace sdg::metrics
