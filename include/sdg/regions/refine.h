#pragma once
#include "sdg/core/tensor.h"

namespace sdg::regions {

struct RefineOptions {
  int64_t radius = 4;     ///< pixels: windows are squares of 2 radius + 1, cut at the picture's border
  double epsilon = 1e-3;  ///< of the regression in a window, against colours from 0 to 1: deviations of colour below
                          ///< its root count as flat, and what is flat is only smoothed
};

/// Moves a map's borders to where the picture's colours change: each class's indicator is filtered with the picture as
/// its guide (He, Sun and Tang, "Guided Image Filtering", 2013, eq. 19-20), and each pixel gets the class of the
/// largest answer, of equal ones the lower. In each window the indicator is taken for a linear function of the colours,
/// so a class ends with the colour it had most of. uint8 [S, T] of any values, each a class, and uint8 [C, S, T], C 1
/// or 3, give uint8 [S, T]. A map of one class stays. Throws Error for other shapes and types, UsageError for a radius
/// below 1 and an epsilon that is not positive.
Tensor refine(const Tensor& map, const Tensor& picture, const RefineOptions& options);

}  // namespace sdg::regions
