#include "sdg/metrics/manifold.h"

#include <torch/types.h>

#include <mutex>

#include "metrics/distance_blocks_impl.h"
#include "sdg/core/error.h"
#include "sdg/metrics/neighbours.h"

namespace sdg::metrics {
namespace {
constexpr int64_t kOpenShare = 64;  // a product of rows in float64 costs as much as so many single differences
}

Manifold manifold(const Tensor& real, const Tensor& fake, int64_t k, Surface surface) {
  torch::NoGradGuard no_grad;
  SDG_CHECK(k >= 1 && real.size(0) > k && fake.size(0) > k, "precision and recall: k = ", k, " needs more than ", k,
            " images on either side, got ", real.size(0), " real and ", fake.size(0));
  const auto last = [k](const Tensor& rows) { return nearest_others(rows, k).distances.select(1, k - 1); };
  const Tensor real_radii = last(real), fake_radii = last(fake);  // [N], [M]
  const auto holds = [surface](const Tensor& radii, const Tensor& distances) {
    return surface == Surface::kIn ? distances <= radii : distances < radii;
  };
  const DistanceBlocks blocks(fake, real, "precision and recall");
  Tensor held = at::zeros({fake.size(0)}, at::kLong);      // in how many real balls each generated row lies
  Tensor recalled = at::zeros({real.size(0)}, at::kBool);  // does the real row lie in a generated ball?
  Tensor covered = at::zeros({real.size(0)}, at::kBool);   // does a generated row lie in its ball?
  std::mutex mutex;                                        // of the columns, which the rows of all blocks meet in
  blocks.for_each([&](int64_t row, int64_t column, const Tensor& lower) {
    const auto n = lower.size(0), m = lower.size(1);
    const Tensor of_real = real_radii.narrow(0, column, m).unsqueeze(0);  // [1, m]
    const Tensor of_fake = fake_radii.narrow(0, row, n).unsqueeze(1);     // [n, 1]
    auto bounds = blocks.bounds(row, column, lower);
    const auto open = [&](const Tensor& radii) {
      const Tensor balls = radii.square().to(bounds.lower.scalar_type());
      return (bounds.lower <= balls).logical_and_(bounds.upper >= balls);  // [n, m]
    };
    Tensor open_real = open(of_real), open_fake = open(of_fake);
    // Balls far smaller than the rows are long: float64 tells more at once than pair by pair.
    if (!blocks.is_close() && open_real.sum().item<int64_t>() + open_fake.sum().item<int64_t>() > n * m / kOpenShare) {
      bounds = blocks.close_bounds(row, column, n, m);
      open_real = open(of_real);
      open_fake = open(of_fake);
    }
    const auto inside = [&](const Tensor& radii, const Tensor& open_pairs) {
      Tensor in = bounds.upper < radii.square().to(bounds.upper.scalar_type());
      const Tensor pairs = open_pairs.nonzero();
      const Tensor i = pairs.select(1, 0), j = pairs.select(1, 1);
      const Tensor distances = blocks.squares_of(i + row, j + column).sqrt_();
      return in.index_put_({i, j}, holds(radii.expand({n, m}).index({i, j}), distances));  // [n, m]
    };
    const Tensor in_real = inside(of_real, open_real);
    const Tensor in_fake = inside(of_fake, open_fake).any(0);  // [m]
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
