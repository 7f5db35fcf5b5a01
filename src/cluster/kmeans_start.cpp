#include "cluster/kmeans_start.h"

#include <algorithm>
#include <cmath>

#include "cluster/nearest_centroid.h"
#include "sdg/core/device.h"

namespace sdg::cluster {
namespace {

// Squared distances of all rows of x to a few centers [M, D]: [N, M].
Tensor distances(const Tensor& x, const Tensor& centers, Reducer& reducer) {
  Tensor out = at::empty({x.size(0), centers.size(0)}, x.options());
  const int64_t rows = rows_per_block(x, centers.size(0));
  const auto shift = centers.mean(0);
  const auto centered = centers - shift;
  const auto lengths = centered.square().sum(1);
  const auto share = own_blocks(x.size(0), rows, reducer);
  for (int64_t begin = share.begin; begin < share.end; begin += rows) {
    const auto block = x.slice(0, begin, std::min(begin + rows, share.end)) - shift;
    const auto square = at::addmm(lengths, block, centered.t(), 1, -2) + block.square().sum(1, true);
    out.slice(0, begin, begin + rows).copy_(square.clamp_min_(0));
  }
  return reducer.all_gather(out.slice(0, share.begin, share.end), block_counts(x.size(0), rows, reducer));
}

}  // namespace

Tensor plus_plus(const Tensor& x, int64_t clusters, const rng::Stream& stream, Reducer& reducer) {
  const int64_t n = x.size(0);
  const int64_t trials = 2 + static_cast<int64_t>(std::log(static_cast<double>(clusters)));
  const auto draws = rng::uniform(stream, rng::consecutive(0, clusters), {trials}).to(at::kDouble);  // [K, trials]
  const auto of_trials = to_device(draws, x.device());
  const auto chosen = at::empty({clusters}, x.options().dtype(at::kLong));
  // Which points become centers stays on the device: no center waits for the host.
  const auto take = [&](int64_t number, const Tensor& point, Tensor& closest) {
    chosen.slice(0, number, number + 1).copy_(point);
    closest.index_fill_(0, point, 0);  // rounding must not let a center be drawn again
  };

  const auto first =
      std::min<int64_t>(n - 1, static_cast<int64_t>(draws[0][0].item<double>() * static_cast<double>(n)));
  Tensor closest = distances(x, x.slice(0, first, first + 1), reducer).squeeze(1);  // [N]
  take(0, at::full({1}, first, chosen.options()), closest);
  for (int64_t number = 1; number < clusters; ++number) {
    const auto cumulative = closest.to(at::kDouble).cumsum(0);
    const auto targets = of_trials[number] * cumulative[n - 1];
    const auto candidates = at::searchsorted(cumulative, targets, false, /*right=*/true).clamp_max(n - 1);  // [trials]
    const auto then =
        at::minimum(closest.unsqueeze(1), distances(x, x.index_select(0, candidates), reducer));  // [N, trials]
    const auto best = then.sum(0, false, at::kDouble).argmin().reshape({1});
    closest = then.index_select(1, best).squeeze(1);
    take(number, candidates.index_select(0, best), closest);
  }
  return x.index_select(0, chosen);
}

Tensor random_rows(const Tensor& x, int64_t clusters, const rng::Stream& stream) {
  auto rows = rng::permutation(stream, x.size(0));
  rows.resize(static_cast<size_t>(clusters));
  return x.index_select(0, at::tensor(rows).to(x.device()));
}

}  // namespace sdg::cluster
