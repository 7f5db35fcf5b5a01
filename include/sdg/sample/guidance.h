#pragma once
#include "sdg/core/tensor.h"

namespace sdg::sample {
/// Classifier-free guidance (arXiv 2207.12598): v_u + w (v_c - v_u). w = 1 is exactly conditional, w = 0 exactly
/// unconditional, w > 1 guided. Conventions elsewhere: v_c + s (v_c - v_u) (sgfm, U-ViT) is w = 1 + s; the scale of
/// DiT, SiT and "imagen" is w.
Tensor guide(const Tensor& unconditional, const Tensor& conditional, double w);
}  // namespace sdg::sample
