#include "sdg/metrics/manifold.h"

#include <torch/types.h>

#include <mutex>

#include "metrics/distance_blocks_impl.h"
#include "sdg/core/error.h"
#include "sdg/metrics/neighbours.h"

namespace sdg::metrics {

Manifold manifold(const Tensor& real, const Tensor& fake, int64_t k, Surface surface) {
  torch::NoGradGuard no_grad;
  SDG_CHECK(k >= 1 && real.size(0) > k && fake.size(0) > k, "precision and recall: k = ", k, " needs more than ", k,
            " images on either side, got ", real.size(0), " real and ", fake.size(0));
  const auto last = [k](const Tensor& rows) { return nearest_others(rows, k).distances.select(1, k - 1).square(); };
  const Tensor real_balls = last(real), fake_balls = last(fake);  // squared radii [N], [M]
  const auto inside = [surface](const Tensor& squares, const Tensor& balls) {
    return surface == Surface::kIn ? squares <= balls : squares < balls;
  };
  const DistanceBlocks blocks(fake, real, "precision and recall");
  Tensor held = at::zeros({fake.size(0)}, at::kLong);      // in how many real balls each generated row lies
  Tensor recalled = at::zeros({real.size(0)}, at::kBool);  // does the real row lie in a generated ball?
  Tensor covered = at::zeros({real.size(0)}, at::kBool);   // does a generated row lie in its ball?
  std::mutex mutex;                                        // of the columns, which the rows of all blocks meet in
  blocks.for_each([&](int64_t row, int64_t column, const Tensor& squares) {
    const auto n = squares.size(0), m = squares.size(1);
    const Tensor in_real = inside(squares, real_balls.narrow(0, column, m).unsqueeze(0));      // [n, m]
    const Tensor in_fake = inside(squares, fake_balls.narrow(0, row, n).unsqueeze(1)).any(0);  // [m]
    held.narrow(0, row, n) += in_real.sum(1);
    const Tensor hit = in_real.any(0);
    const std::lock_guard lock(mutex);
    recalled.narrow(0, column, m).logical_or_(in_fake);
    covered.narrow(0, column, m).logical_or_(hit);
  });
  const auto mean = [](const Tensor& x) { return x.to(at::kDouble).mean().item<double>(); };
  return {mean(held > 0), mean(recalled), mean(held) / static_cast<double>(k), mean(covered)};
}

}  // namespace sdg::metrics
