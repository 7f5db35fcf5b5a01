#include "sdg/sample/guidance.h"

#include "sdg/core/error.h"

namespace sdg::sample {
Tensor guide(const Tensor& unconditional, const Tensor& conditional, double w) {
  SDG_CHECK(unconditional.sizes() == conditional.sizes(), "guide: both velocities must have one shape, got ",
            to_string(unconditional.sizes()), " and ", to_string(conditional.sizes()));
  return at::lerp(unconditional, conditional, w);
}
}  // namespace sdg::sample
