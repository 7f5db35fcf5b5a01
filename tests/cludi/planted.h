#pragma once
// Features of which everybody can see the clusters.
#include <torch/types.h>

#include "sdg/core/rng.h"

namespace sdg::test {

/// [K * each, width]: row i is near the direction i mod K.
inline Tensor planted_rows(int64_t clusters, int64_t each, int64_t width, double spread = 0.15) {
  const auto draw = [](uint64_t step, int64_t rows, int64_t dim) {
    return rng::normal({3, rng::Purpose::kTest, step}, rng::consecutive(0, rows), {dim});
  };
  auto centers = draw(0, clusters, width);
  centers = centers / centers.norm(2, {1}, true);
  return centers.repeat({each, 1}) + spread * draw(1, clusters * each, width);
}
inline Tensor planted_labels(int64_t clusters, int64_t each) {
  return at::arange(clusters).repeat({each});
}

}  // namespace sdg::test
