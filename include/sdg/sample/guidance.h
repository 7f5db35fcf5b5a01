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

/// How strongly, from when to when (arXiv 2404.07724), and at which evaluations.
struct Guidance {
  double w = 1;
  double begin = 0, end = 1;  ///< times between which w acts, both included; elsewhere it is 1, for w = 0 too
  int64_t channels = 0;       ///< of guide()
  Schedule schedule = Schedule::kConstant;
  double rescale = 0;                  ///< of rescaled()
  int64_t every = 1;                   ///< the direction is evaluated anew at each so manieth evaluation
  Between between = Between::kCached;  ///< what is done at the others

  /// The strength at time t. An interval that reaches 0 or 1 is open there: adaptive solvers look a little beyond the
  /// ends.
  double at(double t) const;
  /// Does w act at all times?
  bool whole() const { return begin <= 0 && end >= 1; }
  /// The strength farthest from 1 that the schedule reaches.
  double strongest() const { return schedule == Schedule::kConstant ? w : 1 + 2 * (w - 1); }
};

/// In our terms, whatever the options' convention.
Guidance guidance_of(const SampleOptions& options);

/// Of the network's own answer away from its inner head's (Internal Guidance, arXiv 2512.24176): guide(inner, own, w).
Guidance inner_guidance_of(const SampleOptions& options);

/// The guided velocity whose prediction of the clean image is brought, by the share `phi`, to the standard deviation
/// over each image of that of the conditional velocity (arXiv 2305.08891, equations 15 and 16).
Tensor rescaled(const Tensor& guided, const Tensor& conditional, const Tensor& x_t, double t, double sigma_min,
                double phi);

/// The conditional answer (first) and the one that guidance leads away from (second) at one point, from one pass of the
/// network.
using PairFn = std::function<std::pair<Answer, Answer>(const Tensor& x_t, double t)>;

/// The denoiser that guides `conditional` away from `null`. Where the strength is 1 or 0 (of all channels) only one of
/// them is asked; elsewhere both, through `both` where it is given: one pass over a joined batch costs less than two.
/// With `every` above 1 it counts the evaluations where guidance acts and keeps the last direction: copies share both,
/// so a walk needs a denoiser of its own, and fixed steps. The variance is the conditional one.
Denoiser guided(Denoiser conditional, Denoiser null, const Guidance& guidance, PairFn both = {});

/// The denoiser whose predictions of the clean image are bounded: clamped to [-1, 1], or, dynamically, to s = max(1,
/// the `percentile` of |x| over each image) and divided by s (Saharia et al., 2022, section 2.3). Where less than 1e-3
/// of noise is left the state itself is nearly the image, and nothing is bounded.
Denoiser clipped(Denoiser denoiser, Clip clip, double percentile);

}  // namespace sdg::sample
