#pragma once
#include "sdg/core/tensor.h"

namespace sdg::sample {
/// Classifier-free guidance: v_u + w (v_c - v_u). w = 1 is conditional, w = 0 unconditional, w > 1 guided.
/// (sgfm's scale s is w - 1.)
Tensor guide(const Tensor& unconditional, const Tensor& conditional, double w);
}  // namespace sdg::sample
