#include "sdg/sample/guidance.h"

#include "sdg/core/error.h"

namespace sdg::sample {

Tensor guide(const Tensor& unconditional, const Tensor& conditional, double w, int64_t channels) {
  SDG_CHECK(unconditional.sizes() == conditional.sizes(), "guide: both velocities must have one shape, got ",
            to_string(unconditional.sizes()), " and ", to_string(conditional.sizes()));
  if (channels <= 0 || channels >= conditional.size(1)) return at::lerp(unconditional, conditional, w);
  const auto guided = at::lerp(unconditional.narrow(1, 0, channels), conditional.narrow(1, 0, channels), w);
  return at::cat({guided, conditional.slice(1, channels)}, 1);
}

double Guidance::at(double t) const {
  constexpr double kRounding = 1e-9;  // stage times are sums: 0.2 + 0.1 lies in an interval up to 0.3
  const bool begun = begin <= 0 || t >= begin - kRounding;
  const bool over = end < 1 && t > end + kRounding;
  return begun && !over ? w : 1.0;
}

Guidance guidance_of(const SampleOptions& options) {
  return {options.guidance, options.guidance_begin, options.guidance_end, options.guidance_channels};
}

Denoiser guided(Denoiser conditional, Denoiser null, const Guidance& guidance, PairFn both) {
  const double sigma_min = conditional.sigma_min();
  auto velocity = [conditional = std::move(conditional), null = std::move(null), both = std::move(both), guidance](
                      const Tensor& x_t, double t) {
    const double w = guidance.at(t);
    if (w == 1.0) return conditional.velocity(x_t, t);
    if (w == 0.0 && guidance.channels == 0) return null.velocity(x_t, t);
    const auto [c, u] = both ? both(x_t, t) : std::pair{conditional.velocity(x_t, t), null.velocity(x_t, t)};
    return guide(u, c, w, guidance.channels);
  };
  return Denoiser(std::move(velocity), sigma_min);
}

}  // namespace sdg::sample
