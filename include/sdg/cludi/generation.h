#pragma once
#include <functional>
#include <vector>

#include "sdg/cludi/denoiser.h"
#include "sdg/cludi/noise_schedule.h"

namespace sdg::cludi {

/// The levels that `steps` steps visit, falling, with -1 (no noise) as the last: whole parts of steps + 1 numbers
/// equally spaced from -1 to levels - 1.
std::vector<int64_t> visited_levels(int64_t levels, int64_t steps);

/// The noise in z at the level n, if z_0 is the data.
Tensor noise_of(const NoiseSchedule& schedule, const Tensor& z, const Tensor& z_0, int64_t n);

/// From level n to `next` (Song et al., DDIM, 2010.02502, (12)); `noise` already times the schedule's factor.
Tensor ddim_step(const NoiseSchedule& schedule, const Tensor& z, const Tensor& z_0, const Tensor& noise, int64_t n,
                 int64_t next, double eta);

struct Drawn {
  std::vector<Tensor> logits;  ///< of each head, [C, B, K]; the further heads see the first's embedding
  Tensor z_0;                  ///< last estimate, clamped [C, B, E]
  Tensor embedding;            ///< of the assignments softmax(logits / temperature) [C, B, E]
};

struct DrawingSteps {
  int64_t steps = 25, early_stop = 0;
};

/// Draws assignments: from noise to an estimate of the embedding, each estimate shown to the next step. `noise(i)` is
/// standard normal [C, B, E]: i = 0 is where the draw begins, i = 1 … what the i-th step adds. With gradients, where
/// they are on, through all steps.
Drawn draw_assignments(const Denoiser& denoiser, const NoiseSchedule& schedule, const Tensor& conditions,
                       const DrawOptions& options, const DrawingSteps& how,
                       const std::function<Tensor(int64_t)>& noise);

}  // namespace sdg::cludi
