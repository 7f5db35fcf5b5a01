#include "cluster/minibatch_kmeans.h"

#include <algorithm>
#include <limits>

#include "sdg/core/device.h"

namespace sdg::cluster {
namespace {

// The restart's own stream is for its start; orders of the passes have streams beside it.
rng::Stream order_stream(const rng::Stream& stream, int64_t pass) {
  return {stream.seed, stream.purpose, stream.step + (static_cast<uint64_t>(pass + 1) << 32)};
}

// The order of a pass over x, where x lies.
Tensor order_of(const Tensor& x, const rng::Stream& stream, int64_t pass) {
  return to_device(at::tensor(rng::permutation(order_stream(stream, pass), x.size(0)), at::kLong), x.device());
}

// c_k <- (n_k c_k + sum of its rows) / (n_k + their number), which is Sculley's step row by row with rate 1 / n_k.
void follow(Tensor& centroids, Tensor& counts, const Tensor& block, const Tensor& index) {
  auto sums = at::zeros(centroids.sizes(), centroids.options());
  sums.index_add_(0, index, block.to(at::kDouble));
  const auto given = at::zeros_like(counts);  // bincount would wait for the device
  given.index_add_(0, index, at::ones({index.size(0)}, counts.options()));
  const auto after = counts + given;
  const auto moved = (centroids * counts.unsqueeze(1) + sums) / after.clamp_min(1).unsqueeze(1);
  centroids = at::where(given.unsqueeze(1) > 0, moved, centroids);
  counts = after;
}

void restart_unused(Tensor& centroids, Tensor& counts, const Tensor& before, const Tensor& block,
                    const Tensor& distance) {
  const auto unused = (counts == before).nonzero().squeeze(1);
  const auto places = std::min(unused.size(0), block.size(0));
  if (places == 0) return;
  const auto farthest = std::get<1>(distance.topk(places));
  const auto chosen = unused.slice(0, 0, places);
  centroids.index_copy_(0, chosen, block.index_select(0, farthest).to(at::kDouble));
  counts.index_fill_(0, chosen, 0);
}

}  // namespace

Tensor sample_for_start(const Tensor& x, int64_t clusters, int64_t batch, const rng::Stream& stream) {
  const auto rows = std::min(x.size(0), std::max(3 * batch, 10 * clusters));
  return x.index_select(0, order_of(x, stream, 0).slice(0, 0, rows));
}

KmeansResult minibatch_kmeans(const Tensor& x, const Tensor& start, int64_t batch, int64_t passes,
                              const rng::Stream& stream, const std::function<void(int64_t)>& step, Reducer& reducer) {
  auto centroids = start.to(at::kDouble);
  auto counts = at::zeros({centroids.size(0)}, centroids.options());
  double last = std::numeric_limits<double>::infinity();
  int64_t done = 0;
  while (done < passes) {
    ++done;
    const auto order = order_of(x, stream, done);
    const auto before = counts.clone();
    const auto sum = at::zeros({}, counts.options());
    Tensor block;
    Nearest nearest;
    for (int64_t begin = 0; begin < x.size(0); begin += batch) {
      block = x.index_select(0, order.slice(0, begin, std::min(x.size(0), begin + batch)));
      nearest = find_nearest(block, centroids.to(at::kFloat), reducer);
      follow(centroids, counts, block, nearest.index);
      sum.add_(nearest.distance.sum(at::kDouble));
    }
    const double inertia = sum.item<double>();  // once a pass
    restart_unused(centroids, counts, before, block, nearest.distance);
    if (step) step(done);
    if (inertia > 0.999 * last) break;
    last = inertia;
  }
  auto result = assign_all(x, centroids.to(at::kFloat), reducer);
  result.iterations = done;
  return result;
}

}  // namespace sdg::cluster
