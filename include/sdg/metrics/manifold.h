#pragma once
#include <cstdint>

#include "sdg/core/tensor.h"

/// Do the two sets lie where the other lies? Each row stands for a ball around it that reaches to its k-th nearest
/// other row of its own set.
namespace sdg::metrics {

struct Manifold {
  double precision = 0;  ///< of the generated, the share that lies in a ball of the real (Kynkäänniemi et al., 2019)
  double recall = 0;     ///< of the real, the share that lies in a ball of the generated
  double density = 0;    ///< real balls around a generated row, mean / k (Naeem et al., 2020); may pass 1
  double coverage = 0;   ///< of the real, the share in whose ball a generated row lies
};

/// Does a ball hold what lies on its surface?
enum class Surface {
  kIn,   ///< d <= r: improved precision and recall as published, in ADM's evaluator and torch-fidelity
  kOut,  ///< d < r: prdc, the code of density and coverage
};

/// real [N, D], fake [M, D], in float64. The field takes k = 3 and the surface in for precision and recall, k = 5 and
/// the surface out for density and coverage. Memory grows with N + M, not with N M. Throws Error unless either side has
/// more than k rows, and for features that are not finite.
Manifold manifold(const Tensor& real, const Tensor& fake, int64_t k, Surface surface);

}  // namespace sdg::metrics
