#pragma once
#include <functional>
#include <utility>

#include "sdg/core/tensor.h"
#include "sdg/sample/denoiser.h"
#include "sdg/sample/options.h"

namespace sdg::sample {

/// Classifier-free guidance (arXiv 2207.12598): v_u + w (v_c - v_u). w = 1 is exactly conditional, w = 0 exactly
/// unconditional, w > 1 guided. Conventions elsewhere: v_c + s (v_c - v_u) (sgfm, U-ViT) is w = 1 + s; the scale of
/// DiT, SiT and "imagen" is w. `channels` > 0 guides only the first ones of [N, C, ...] and leaves the others
/// conditional, as the public samplers of DiT and SiT do with 3.
Tensor guide(const Tensor& unconditional, const Tensor& conditional, double w, int64_t channels = 0);

/// How strongly, and from when to when (arXiv 2404.07724).
struct Guidance {
  double w = 1;
  double begin = 0, end = 1;  ///< times between which w acts, both included; elsewhere it is 1, for w = 0 too
  int64_t channels = 0;       ///< of guide()

  /// The strength at time t. An interval that reaches 0 or 1 is open there: adaptive solvers look a little beyond the
  /// ends.
  double at(double t) const;
  /// Does w act at all times?
  bool whole() const { return begin <= 0 && end >= 1; }
};

Guidance guidance_of(const SampleOptions& options);

/// The conditional velocity (first) and the null one (second) at one point, from one pass of the network.
using PairFn = std::function<std::pair<Tensor, Tensor>(const Tensor& x_t, double t)>;

/// The denoiser that guides `conditional` away from `null`. Where the strength is 1 or 0 (of all channels) only one of
/// them is asked; elsewhere both, through `both` where it is given: one pass over a joined batch costs less than two.
Denoiser guided(Denoiser conditional, Denoiser null, const Guidance& guidance, PairFn both = {});

}  // namespace sdg::sample
