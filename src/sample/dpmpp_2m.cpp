#include "sample/log_ratio.h"
#include "sdg/core/error.h"

namespace sdg::sample {

void check_rises(const Walk& walk) {
  SDG_CHECK(walk.grid[1] > walk.grid[0] && walk.grid[0] >= 0, config::name(walk.options.solver),
            ": the grid must rise from noise to data, got ", walk.grid[0], " then ", walk.grid[1]);
}

// DPM-Solver++(2M): the prediction of the data as a line in l through the last two. Of order 1 where that line has no
// length: in the first step, in the next one where the grid begins at t = 0 (l = -inf), and in the last one, whose h
// is far longer than the one before.
Tensor dpmpp_2m(const Walk& walk, Tensor x) {
  check_rises(walk);
  Tensor before;
  for (size_t i = 0; i < walk.steps(); ++i) {
    const LogRatioStep step(walk, i);
    const auto data = walk.denoiser.at(x, step.begin).data();
    x = step.first_order(x, data);
    if (i > 0 && walk.grid[i - 1] > 0 && i + 1 < walk.steps()) {
      const double ratio = LogRatioStep(walk, i - 1).h() / step.h();
      x = at::add(x, data - before, step.end * step.gain() / (2 * ratio));
    }
    before = data;
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
