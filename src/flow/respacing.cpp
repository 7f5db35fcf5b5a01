#include "sdg/flow/respacing.h"

#include <cmath>

#include "sdg/core/error.h"
#include "sdg/flow/betas.h"

namespace sdg::flow {

std::vector<int64_t> respaced_steps(const std::vector<int64_t>& counts) {
  const auto sections = static_cast<int64_t>(counts.size());
  std::vector<int64_t> out;
  int64_t start = 0;
  for (int64_t i = 0; i < sections; ++i) {
    const int64_t size = kSteps / sections + (i < kSteps % sections ? 1 : 0);
    SDG_CHECK_USAGE(counts[i] >= 1 && counts[i] <= size, "respacing: expected 1 to ", size, " of ", size,
                    " steps, got ", counts[i]);
    const double stride = counts[i] <= 1 ? 1 : static_cast<double>(size - 1) / static_cast<double>(counts[i] - 1);
    double place = 0;
    for (int64_t k = 0; k < counts[i]; ++k, place += stride)
      out.push_back(start + static_cast<int64_t>(std::nearbyint(place)));
    start += size;
  }
  return out;
}

std::vector<int64_t> strided_steps(int64_t steps) {
  for (int64_t stride = 1; stride < kSteps; ++stride) {
    if ((kSteps + stride - 1) / stride != steps) continue;
    std::vector<int64_t> out;
    for (int64_t n = 0; n < kSteps; n += stride) out.push_back(n);
    return out;
  }
  throw UsageError(cat("grid strided: no whole stride gives ", steps, " of ", kSteps, " steps"));
}

}  // namespace sdg::flow
