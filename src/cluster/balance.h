#pragma once
#include "sdg/core/reducer.h"
#include "sdg/core/tensor.h"

namespace sdg::cluster {

struct Balanced {
  Tensor clusters;    ///< [K] float64, log factors of the columns that balance the plan
  double error = 0;   ///< largest relative marginal error reached, on the side that Newton works on
  int64_t steps = 0;  ///< evaluations of the plan
};

/// Potentials of the balanced plan exp(S_ik / eps + u_i + v_k) by Newton's method on the concave dual of the smaller
/// side (the other side is eliminated exactly), while eps falls from the range of the scores to its own value. Sweeps
/// need a number of steps that grows like range / eps; this does not, and so balances scores that are practically a
/// hard assignment. `range`: of all scores. Memory: three float64 copies of the scores and the square of the smaller
/// side. At most `steps` evaluations. scores [B, K], finite, the rows of all ranks being balanced together: with fewer
/// samples than clusters every rank gathers them all and solves the whole, else the sums over samples are exchanged.
Balanced balance(const Tensor& scores, double epsilon, double range, double tolerance, int64_t steps, Reducer& reducer);

}  // namespace sdg::cluster
