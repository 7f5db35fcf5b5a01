#pragma once
#include <array>

#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

/// The clustering loss counts only where the image can be made out but is not finished: begin < t < end
/// (docs/math.md, "Clustering loss").
namespace sdg::cluster {

/// Where the weight of the window's samples comes from.
enum class Averaging {
  kBatch,   ///< sum over the window / all samples: the public code; a window of width 0.1 weighs the loss about 0.1
  kWindow,  ///< mean over the window's samples (0 where there is none): the weight does not depend on the window's
            ///< width
};
constexpr auto names_of(Averaging) {
  return std::array{"batch", "window"};
}

/// begin < t < end, both strict, compared in t's own precision. t [N] -> bool [N].
Tensor in_window(const Tensor& t, double begin, double end);

/// losses [N] or, for N images of L tokens, [N*L] image by image; mask [N] bool. Returns the mean over the mask, a
/// scalar; over ranks this rank's part of the mean over all: the parts add up to it.
Tensor window_mean(const Tensor& losses, const Tensor& mask, Averaging averaging, Reducer& reducer = Reducer::local());

/// Weight of the clustering loss at `step`: grows linearly from 0 and stays at `weight` from step ramp_steps on.
double warm_up_weight(int64_t step, double ramp_steps, double weight = 1);

}  // namespace sdg::cluster
