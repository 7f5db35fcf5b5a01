#include "sdg/study/condition_gain.h"

#include <ATen/core/grad_mode.h>

#include <array>
#include <cmath>
#include <numeric>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/flow/path.h"
#include "sdg/network/assign.h"
#include "sdg/recipe/source.h"

namespace sdg::study {
namespace {

constexpr int64_t kPiece = 64;  // images

double over_all(const std::vector<double>& errors) {
  return std::accumulate(errors.begin(), errors.end(), 0.0);
}

}  // namespace

ConditionGain condition_gain(const checkpoint::Trained& trained, const data::Dataset& dataset,
                             const std::vector<int64_t>& indices, const Tensor& ids, const std::vector<double>& times,
                             const at::Device& device, const Progress& progress) {
  const auto& config = trained.info.config;
  const auto& network = trained.network;
  const auto n = static_cast<int64_t>(indices.size());
  SDG_CHECK_USAGE(recipe::facts_of(config).conditions, trained.path, ": has no conditions that could tell anything");
  SDG_CHECK_USAGE(config.condition.drop > 0, trained.path,
                  ": was always told its condition (condition.drop 0), and cannot say what it knows without");
  SDG_CHECK(n >= 2 && ids.size(0) == n && !times.empty(), "condition gain: expected a condition of each of at least 2 ",
            "images and at least one time, got ", ids.size(0), " of ", n, " images at ", times.size(), " times");
  const auto steps = static_cast<int64_t>(times.size());
  auto errors = at::zeros({3, steps, n}, at::kDouble);  // told nothing, its own, another's
  const auto others = ids.roll(1, 0);
  const auto pieces = (n + kPiece - 1) / kPiece;
  const auto piece = [&](int64_t number) {
    const at::NoGradGuard no_grad;
    const auto begin = number * kPiece, end = std::min(n, begin + kPiece);
    const std::vector<int64_t> own(indices.begin() + begin, indices.begin() + end);
    const auto x = network::load_images(dataset, own, device);
    const auto told = ids.slice(0, begin, end).to(device), wrong = others.slice(0, begin, end).to(device);
    const std::array conditions{model::Condition::null(), network::condition_for(config, network, told),
                                network::condition_for(config, network, wrong)};
    for (int64_t step = 0; step < steps; ++step) {
      const rng::Stream stream{recipe::seed_of(config), rng::Purpose::kNoise, static_cast<uint64_t>(1 + step)};
      const auto eps = rng::normal(stream, dataset.shown(own), x.sizes().slice(1), device);
      const auto t = at::full({x.size(0)}, times[static_cast<size_t>(step)], x.options());
      const auto sample = flow::constant_velocity(x, eps, t, config.flow.sigma_min);
      for (size_t kind = 0; kind < conditions.size(); ++kind) {
        const auto velocity = network.velocity(sample.x_t, t, conditions[kind]);
        errors[static_cast<int64_t>(kind)][step]
            .slice(0, begin, end)
            .copy_(flow::velocity_loss(velocity, sample.velocity));
      }
    }
  };
  if (device.is_cpu()) {
    const auto round = std::max<int64_t>(1, worker_pool().threads() * 4);
    for (int64_t start = 0; start < pieces; start += round) {
      const auto count = std::min(round, pieces - start);
      worker_pool().run(count, [&](int64_t i) { piece(start + i); });
      if (progress) progress(std::min(n, (start + count) * kPiece), n);
    }
  } else {
    for (int64_t i = 0; i < pieces; ++i) piece(i);
  }
  ConditionGain out;
  out.times = times;
  const auto means = errors.mean(2);
  for (auto [row, values] : {std::pair{0, &out.none}, {1, &out.own}, {2, &out.other}}) {
    for (int64_t step = 0; step < steps; ++step) values->push_back(means[row][step].item<double>());
  }
  const double without = over_all(out.none);
  SDG_CHECK(std::isfinite(without) && without > 0, "condition gain: the error without a condition is ", without);
  out.gain = 1 - over_all(out.own) / without;
  out.gain_of_other = 1 - over_all(out.other) / without;
  // Of a ratio of means over images: by its residuals.
  const auto of_images = errors.sum(1);  // [3, n]
  const auto residuals = of_images[1] - (1 - out.gain) * of_images[0];
  out.error = residuals.std().item<double>() / std::sqrt(static_cast<double>(n)) / without;
  return out;
}

}  // namespace sdg::study
