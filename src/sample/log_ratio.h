#pragma once
#include <cmath>

#include "sample/methods.h"

namespace sdg::sample {

/// One step of a solver in l = log(t / sigma(t)), the logarithm of the signal-to-noise ratio, with predictions of the
/// data (Lu et al., arXiv 2211.01095). l is -inf at t = 0, which the forms below bear.
struct LogRatioStep {
  double begin, end;              ///< times
  double begin_share, end_share;  ///< sigma at them

  LogRatioStep(const Walk& walk, size_t i)
      : begin(walk.grid[i]),
        end(walk.grid[i + 1]),
        begin_share(walk.denoiser.noise_share(begin)),
        end_share(walk.denoiser.noise_share(end)) {}

  /// h, the step of l; infinite from t = 0, and to t = 1 where no noise is left.
  double h() const { return std::log(end * begin_share / (begin * end_share)); }
  /// 1 - exp(-h), 1 where h is infinite.
  double gain() const { return 1 - begin * end_share / (begin_share * end); }
  /// x at the end if the data stays `data`: the step of order 1, which all begin with. Exact for h = inf too.
  Tensor first_order(const Tensor& x, const Tensor& data) const {
    return at::add(x * (end_share / begin_share), data, end * gain());
  }
};

/// Throws Error unless the grid rises: at t = 1 there is no noise to go back from.
void check_rises(const Walk& walk);

}  // namespace sdg::sample
