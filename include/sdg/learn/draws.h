#pragma once
#include <functional>
#include <vector>

#include "sdg/recipe/run_config.h"

namespace sdg::learn {

/// All that chance decides about some images of a step.
struct Draws {
  Tensor eps;          ///< [n, C, S, S] noise of the flow loss
  Tensor t;            ///< [n] its places on the network's path, in [0, 1)
  Tensor drop;         ///< bool [n], or [n, L]: train without the condition here
  Tensor strength;     ///< [n] in [guided.weakest, 1], what the network is told of it; guided.learn gft only
  Tensor shift;        ///< [n] in [0, align.shift), by which the average looks nearer; align.extractor self only
  Tensor teacher_eps;  ///< [n, C, S, S] through which the teacher looks; source online only
  Tensor head_eps;     ///< [n, C, S, S] the head's own view, and
  Tensor head_t;       ///< [n] its times, within the window; two views only
};

/// `samples`: global sample counters; `image_shape` = {C, S, S}. Tests put stored draws here.
using DrawFn = std::function<Draws(const std::vector<int64_t>& samples, at::IntArrayRef image_shape)>;

/// Places of the path as train.time and train.time_shift have them, from uniform numbers u [n] in [0, 1): the same u is
/// the same quantile of each distribution.
Tensor time_drawn(const recipe::TrainOptions& options, const Tensor& u);

/// Draws that are a function of (seed, purpose, sample): neither threads, batch size nor restarts change them.
/// With one view the teacher looks through the noise of the flow loss, as in the paper; `patches` is L. They are made
/// on `device` (core/rng.h says how equal).
DrawFn counter_draws(const recipe::RunConfig& config, int64_t patches, const at::Device& device = at::kCPU);

}  // namespace sdg::learn
