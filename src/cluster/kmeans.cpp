#include "sdg/cluster/kmeans.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "cluster/kmeans_start.h"
#include "cluster/lloyd.h"
#include "cluster/minibatch_kmeans.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/core/shape.h"

namespace sdg::cluster {
namespace {

// Squares are taken in float32. What is far from 1 is brought near it by a power of two, which changes no digit.
double scale_for(const Tensor& x, Reducer& reducer) {
  constexpr double kNear = 1e6;
  const double own = x.numel() > 0 ? x.abs().max().item<double>() : 0, largest = reducer.max(own);
  if (largest == 0 || (largest < kNear && largest > 1 / kNear)) return 1;
  return std::exp2(std::min(1000.0, -std::floor(std::log2(largest))));
}

}  // namespace

KmeansResult kmeans(const Tensor& x_in, const KmeansOptions& options, const Progress& progress, Reducer& reducer) {
  const at::NoGradGuard no_grad;
  check_shape(x_in, {-1, -1}, "kmeans: x");
  SDG_CHECK(options.clusters >= 1, "kmeans: clusters must be at least 1, got ", options.clusters);
  SDG_CHECK(options.clusters <= x_in.size(0), "kmeans: ", options.clusters,
            " clusters need at least as many points, got ", x_in.size(0));
  SDG_CHECK(options.restarts >= 1 && options.iterations >= 1,
            "kmeans: restarts and iterations must be at least 1, got ", options.restarts, " and ", options.iterations);
  SDG_CHECK(options.minibatch >= 0, "kmeans: minibatch must be at least 0, got ", options.minibatch);
  SDG_CHECK(x_in.isfinite().all().item<bool>(), "kmeans: x must be finite");
  const double scale = scale_for(x_in, reducer);
  const auto x = (scale == 1 ? x_in : x_in.to(at::kDouble) * scale).to(at::kFloat);

  KmeansResult best;
  best.inertia = std::numeric_limits<double>::infinity();
  const int64_t total = options.restarts * options.iterations;
  for (int64_t restart = 0; restart < options.restarts; ++restart) {
    const rng::Stream stream{options.seed, rng::Purpose::kKmeans, static_cast<uint64_t>(restart)};
    const auto step = [&](int64_t done) {
      if (progress) progress(restart * options.iterations + done, total);
    };
    const auto from = options.minibatch > 0 ? sample_for_start(x, options.clusters, options.minibatch, stream) : x;
    auto centroids = options.start == KmeansStart::kRandom ? random_rows(from, options.clusters, stream)
                                                           : plus_plus(from, options.clusters, stream, reducer);
    auto result = options.minibatch > 0
                      ? minibatch_kmeans(x, centroids, options.minibatch, options.iterations, stream, step, reducer)
                      : lloyd(x, centroids, options.iterations, step, reducer);
    if (progress) progress((restart + 1) * options.iterations, total);
    if (result.inertia < best.inertia) best = result;
  }
  if (scale == 1) return best;
  best.centroids = (best.centroids.to(at::kDouble) / scale).to(at::kFloat);
  best.inertia /= scale * scale;
  return best;
}

}  // namespace sdg::cluster
