#include "sdg/cludi/generation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace sdg::cludi {

std::vector<int64_t> visited_levels(int64_t levels, int64_t steps) {
  // In float32, as the public code has it: the whole part of a number just below one would be another level.
  const auto spaced = at::linspace(-1, static_cast<double>(levels - 1), steps + 1, at::kFloat).to(at::kLong);
  std::vector<int64_t> out(spaced.data_ptr<int64_t>(), spaced.data_ptr<int64_t>() + spaced.numel());
  std::reverse(out.begin(), out.end());
  return out;
}

Tensor noise_of(const NoiseSchedule& schedule, const Tensor& z, const Tensor& z_0, int64_t n) {
  const double bar = schedule.alpha_bar(n);
  return (z * std::sqrt(1 / bar) - z_0) / std::sqrt(1 / bar - 1);
}

Tensor ddim_step(const NoiseSchedule& schedule, const Tensor& z, const Tensor& z_0, const Tensor& noise, int64_t n,
                 int64_t next, double eta) {
  const double bar = schedule.alpha_bar(n), after = schedule.alpha_bar(next);
  const double sigma = eta * std::sqrt((1 - bar / after) * (1 - after) / (1 - bar));
  const double kept = std::sqrt(std::max(0.0, 1 - after - sigma * sigma));
  return z_0 * std::sqrt(after) + kept * noise_of(schedule, z, z_0, n) + sigma * noise;
}

Drawn draw_assignments(const Denoiser& denoiser, const NoiseSchedule& schedule, const Tensor& conditions,
                       const DrawOptions& options, const DrawingSteps& how,
                       const std::function<Tensor(int64_t)>& noise) {
  const auto levels = visited_levels(schedule.levels(), how.steps);
  Tensor z = noise(0) * schedule.factor(), z_0 = at::zeros_like(z);
  for (size_t i = 0; i + 1 < levels.size(); ++i) {
    if (static_cast<int64_t>(levels.size() - 1 - i) < how.early_stop) break;
    const auto n = at::full({z.size(0)}, levels[i], at::kLong);
    z_0 = schedule.data_of(denoiser->forward(z, conditions, n, z_0), z, n);
    if (options.clamp > 0) z_0 = z_0.clamp(-options.clamp, options.clamp);
    if (levels[i + 1] < 0) break;
    const auto added = noise(static_cast<int64_t>(i) + 1) * schedule.factor();
    z = ddim_step(schedule, z, z_0, added, levels[i], levels[i + 1], options.eta);
  }
  Drawn out{{denoiser->logits(z_0)}, z_0, {}};
  const auto assigned = [&](size_t head) { return (out.logits[head] / options.temperature).softmax(-1); };
  out.embedding = denoiser->embedding(assigned(0), 0);
  if (denoiser->heads() == 1) return out;
  std::vector<Tensor> assignments{assigned(0)};
  for (size_t head = 1; head < denoiser->heads(); ++head) {
    out.logits.push_back(denoiser->logits(out.embedding, head));
    assignments.push_back(assigned(head));
  }
  out.embedding = denoiser->embedding(assignments);
  return out;
}

}  // namespace sdg::cludi
