#include "sample/log_ratio.h"

namespace sdg::sample {
namespace {

// The coefficients of a step of UniPC's B2 form (arXiv 2302.04867, section 3.2), of order 1 or 2, with predictions of
// the data.
struct Coefficients {
  double b1, b2;
  explicit Coefficients(double h) {
    const double hh = -h, phi1 = std::expm1(hh);
    const double phi2 = phi1 / hh - 1, phi3 = phi2 / hh - 0.5;
    b1 = phi2 / phi1;
    b2 = 2 * phi3 / phi1;
  }
};

}  // namespace

// Each evaluation serves twice: it corrects the step that led to it and predicts the next one. Steps from t = 0, where
// l = -inf, the step after one, and the last one are of order 1, as in dpmpp_2m.
Tensor unipc(const Walk& walk, Tensor x) {
  check_rises(walk);
  Tensor from, data, earlier;  // where the last step began, and the data predicted there and one step before
  int order = 1;
  for (size_t i = 0; i < walk.steps(); ++i) {
    const LogRatioStep step(walk, i);
    const auto now = walk.denoiser.at(x, step.begin).data();
    if (i > 0) {
      const LogRatioStep last(walk, i - 1);
      auto change = (now - data) * 0.5;
      if (order == 2) {
        const double ratio = -LogRatioStep(walk, i - 2).h() / last.h();  // r of the paper, negative
        const Coefficients c(last.h());
        const double share = (c.b1 - c.b2) / (1 - ratio);
        change = at::add((now - data) * (c.b1 - share), earlier - data, share / ratio);
      }
      x = at::add(last.first_order(from, data), change, last.end * last.gain());
    }
    from = x;
    earlier = data;
    data = now;
    order = i > 0 && walk.grid[i - 1] > 0 && i + 1 < walk.steps() ? 2 : 1;
    x = step.first_order(from, data);
    if (order == 2) {
      const double ratio = -LogRatioStep(walk, i - 1).h() / step.h();
      x = at::add(x, earlier - data, step.end * step.gain() * 0.5 / ratio);
    }
    walk.done(i, x);
  }
  return x;
}

}  // namespace sdg::sample
