#include "sdg/learn/draws.h"

#include "sdg/core/rng.h"
#include "sdg/recipe/source.h"

namespace sdg::learn {

Tensor time_drawn(const recipe::TrainOptions& options, const Tensor& u) {
  auto t = u;
  if (options.time == recipe::TimeDraw::kLogitNormal) {
    constexpr double kHalfStep = 0.5 / (1 << 24);  // u is one of 2^24 numbers, of which none is to be infinite
    const auto normal = at::special_ndtri(u.to(at::kDouble) + kHalfStep);
    t = at::sigmoid(options.time_mean + options.time_width * normal).to(u.scalar_type());
  }
  if (options.time_shift == 1) return t;
  return t / (t + options.time_shift * (1 - t));
}

DrawFn counter_draws(const recipe::RunConfig& config, int64_t patches, const at::Device& device) {
  return [config, patches, device](const std::vector<int64_t>& samples, at::IntArrayRef image_shape) {
    using rng::Purpose;
    const auto seed = recipe::seed_of(config);
    const auto normal = [&](Purpose purpose) { return rng::normal({seed, purpose, 0}, samples, image_shape, device); };
    Draws draws;
    draws.eps = normal(Purpose::kNoise);
    draws.t = time_drawn(config.train, rng::uniform({seed, Purpose::kTime, 0}, samples, {}, device));
    if (recipe::facts_of(config).conditions) {
      const bool per_patch = config.condition.drop_per == recipe::DropPer::kPatch;
      const auto u = per_patch ? rng::uniform({seed, Purpose::kDrop, 0}, samples, {patches}, device)
                               : rng::uniform({seed, Purpose::kDrop, 0}, samples, {}, device);
      draws.drop = u.lt(config.condition.drop);
    }
    if (config.guided.learn == recipe::LearnGuidance::kGft) {
      const double weakest = config.guided.weakest;
      draws.strength = weakest + (1 - weakest) * rng::uniform({seed, Purpose::kStrength, 0}, samples, {}, device);
    }
    if (config.align.with_itself())
      draws.shift = config.align.shift * rng::uniform({seed, Purpose::kAlignTime, 0}, samples, {}, device);
    if (!recipe::facts_of(config).online) return draws;
    const bool two_views = config.cluster.views == cluster::Views::kTwo;
    draws.teacher_eps = two_views ? normal(Purpose::kTeacherNoise) : draws.eps;
    if (two_views) {
      draws.head_eps = normal(Purpose::kStudentNoise);
      const auto u = rng::uniform({seed, Purpose::kStudentTime, 0}, samples, {}, device);
      const double begin = config.cluster.window_begin, end = config.cluster.window_end;
      draws.head_t = begin + (end - begin) * u;
    }
    return draws;
  };
}

}  // namespace sdg::learn
