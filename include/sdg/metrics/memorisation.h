#pragma once
#include <cstdint>

#include "sdg/core/tensor.h"

namespace sdg::metrics {

struct MemorisationOptions {
  int64_t neighbours = 50;  ///< of which the mean distance calibrates the nearest; fewer where there are fewer
  double level = 0.01;      ///< share of the training images themselves that lies below the threshold
};

/// How close generated images come to training images, in a feature space.
struct Memorisation {
  Tensor distances;  ///< float64 [M], to the nearest training image
  Tensor nearest;    ///< int64 [M], which it is
  /// float64 [M]: that distance / the mean distance to the `neighbours` nearest training images (Carlini et al.,
  /// "Extracting training data from diffusion models", 2023, section 5.1, without their factor). 0 is a copy; 1 says
  /// that the nearest is no nearer than the others.
  Tensor ratios;
  double threshold = 0;   ///< below which `level` of the training images lie, each among the others
  double suspicious = 0;  ///< share of generated images below it: about `level` where nothing was memorised
  /// Share of generated images that are no nearer to their nearest training image than that image is to its own nearest
  /// other (authenticity: Alaa et al., 2022, as dgm-eval computes AuthPct / 100).
  double authentic = 0;
  int64_t copies = 0;  ///< generated images whose features are a training image's
};

/// train [N, D], fake [M, D]. Throws Error for fewer than 3 training images, a level outside [0, 1) and features that
/// are not finite.
Memorisation memorisation(const Tensor& train, const Tensor& fake, const MemorisationOptions& options = {});

}  // namespace sdg::metrics
