#include "generate/drawing.h"

#include <algorithm>
#include <cmath>

#include "sdg/cluster/label_prior.h"
#include "sdg/generate/even_rows.h"
#include "sdg/sample/fitted_grid.h"
#include "sdg/sample/grid.h"
#include "sdg/sample/guidance.h"

namespace sdg::generate {
namespace {

constexpr int64_t kPilot = 64;  // images that a grid is fitted to

// One batch of both: the first half under `first`, the second under `second`, or under null.
model::Condition join(const model::Condition& first, const model::Condition* second, int64_t n) {
  const auto both = [&](const Tensor& one, const Tensor& other) {
    return one.defined() ? at::cat({one, second ? other : one}) : one;
  };
  const auto value = both(first.value, second ? second->value : Tensor());
  const auto map = both(first.map, second ? second->map : Tensor());
  Tensor drop;
  if (!second) {
    drop = at::zeros({2 * n}, (value.defined() ? value : map).options().dtype(at::kBool));
    drop.slice(0, n).fill_(true);
  }
  return model::Condition::given(value, drop, map);
}

// a at share 0, b at 1, over the arc between them: of the norm of noise at every place (Shoemake, 1985). [n, ...]
Tensor on_arc(const Tensor& a, const Tensor& b, const Tensor& share) {
  const auto flat_a = a.flatten(1), flat_b = b.flatten(1);
  const auto cosine = (flat_a * flat_b).sum(1, true) / (flat_a.norm(2, {1}, true) * flat_b.norm(2, {1}, true));
  const auto angle = at::acos(cosine.clamp(-1, 1)), sine = at::sin(angle), s = share.unsqueeze(1);
  const auto arc = (at::sin((1 - s) * angle) * flat_a + at::sin(s * angle) * flat_b) / sine.clamp_min(1e-6);
  const auto line = (1 - s) * flat_a + s * flat_b;
  return at::where(sine < 1e-3, line, arc).view_as(a);
}

}  // namespace

int64_t group_size(const at::Device& device) {
  return device.is_cpu() ? 16 : 256;
}

std::vector<RowRange> groups_of(int64_t begin, int64_t end, int64_t size, bool whole) {
  std::vector<RowRange> out;
  const int64_t origin = whole ? begin / size * size : begin;
  for (int64_t at = origin; at < end; at += size) out.push_back({at, whole ? at + size : std::min(end, at + size)});
  return out;
}

int64_t Drawing::group() const {
  const int64_t most = group_size(device);
  return device.is_cpu() ? most : std::clamp<int64_t>(request.sample.batch, 1, most);
}

Tensor clusters_of_rows(const network::Network& network) {
  return network.stored ? network.stored->clusters : Tensor();
}

bool Drawing::draws_vectors() const {
  return request.sample.prior == sample::Prior::kLearned && conditional() && !names_condition(request);
}

rng::Stream Drawing::stream(rng::Purpose purpose, int64_t step) const {
  return {static_cast<uint64_t>(request.sample.seed), purpose, static_cast<uint64_t>(step)};
}

Tensor Drawing::draw_clusters(const std::vector<int64_t>& samples) const {
  const auto n = static_cast<int64_t>(samples.size());
  if (!conditional() || !request.mixture.empty()) return at::full({n}, -1, at::kLong);
  if (draws_vectors()) return at::full({n}, -1, at::kLong);
  if (request.rows.defined())
    return request.rows.index_select(0, at::tensor(samples, at::kLong).remainder(request.rows.size(0)));
  if (prior.dim() == 2) {  // maps of clusters
    if (request.map.defined()) return request.map.unsqueeze(0).repeat({n, 1});
    if (request.cluster >= 0) return at::full({n, prior.size(1)}, request.cluster, at::kLong);
    const auto which = rng::uniform(stream(rng::Purpose::kSampleCluster), samples, {})
                           .mul(static_cast<double>(prior.size(0)))
                           .to(at::kLong);
    return prior.index_select(0, which.clamp_max(prior.size(0) - 1));
  }
  const auto of_rows = clusters_of_rows(network);
  if (request.cluster >= 0 && !of_rows.defined()) return at::full({n}, request.cluster, at::kLong);
  auto often = frequencies(prior, request.sample);
  if (request.cluster >= 0) often = often * of_rows.eq(request.cluster);
  return cluster::draw(often, stream(rng::Purpose::kSampleCluster), samples);
}

Tensor Drawing::draw_noise(const std::vector<int64_t>& samples) const {
  const Shape shape{config.data.channels, config.data.size, config.data.size};
  return rng::normal(stream(rng::Purpose::kSampleNoise), samples, shape, device);
}

// The network under one condition; the one that is drawn from led by its inner head, a guide by itself.
sample::Denoiser Drawing::under(const network::Network& which, const model::Condition& condition) const {
  const auto inner = &which == &network ? sample::inner_guidance_of(request.sample) : sample::Guidance();
  return sample::Denoiser(
      [&which, condition, inner, counted = effort, from = recorded](const Tensor& x_t, double t) -> sample::Answer {
        const double w = inner.at(t);
        const auto times = at::full({x_t.size(0)}, t, x_t.options());
        auto said = from ? (*from)(which, x_t, times, condition, w != 1) : which.answer(x_t, times, condition, w != 1);
        if (counted) counted->calls += x_t.size(0);
        if (w != 1) said.velocity = sample::guide(said.inner, said.velocity, w);
        return {std::move(said.velocity), std::move(said.variance)};
      },
      config.flow.sigma_min);
}

// The network that is told how strongly it is guided.
sample::Denoiser Drawing::at_strength(const model::Condition& condition) const {
  const auto guidance = sample::guidance_of(request.sample);
  return sample::Denoiser(
      [this, condition, guidance](const Tensor& x_t, double t) {
        auto told = condition;
        const double w = guidance.at(t);
        if (w != 1) told.strength = at::full({x_t.size(0)}, 1 / w, x_t.options());
        return under(network, told).answer(x_t, t);
      },
      config.flow.sigma_min);
}

model::Condition Drawing::given(const recipe::RunConfig& of, const network::Network& which, const Tensor& clusters,
                                const std::vector<int64_t>& samples) const {
  if (draws_vectors())
    return model::Condition::given(network.vectors->draw(static_cast<uint64_t>(request.sample.seed), samples, device));
  if (request.mixture.empty()) return network::condition_for(of, which, clusters.to(device));
  Tensor mean, length;
  double total = 0;
  for (const auto& [cluster, share] : request.mixture) {
    const auto row =
        network::condition_for(of, which, at::full({clusters.size(0)}, cluster, clusters.options()).to(device));
    SDG_CHECK_USAGE(
        row.value.defined() && row.value.is_floating_point() && !row.map.defined(),
        "a mixture of clusters needs conditions that are vectors (condition.source online, or a file's centroids)");
    const auto norm = row.value.norm(2, {-1}, true);
    mean = mean.defined() ? at::add(mean, row.value, share) : row.value * share;
    length = length.defined() ? at::add(length, norm, share) : norm * share;
    total += share;
  }
  return model::Condition::given(mean / mean.norm(2, {-1}, true).clamp_min(1e-12) * length / total);
}

// Any of the others, equally often; a function of (seed, image).
Tensor Drawing::other_clusters(const Tensor& clusters, const std::vector<int64_t>& samples) const {
  const int64_t count = prior.dim() == 2 ? config.cluster.clusters : prior.size(0);
  const auto u = rng::uniform(stream(rng::Purpose::kSampleOther), samples, clusters.sizes().slice(1));
  const auto steps = (u.to(at::kDouble) * static_cast<double>(count - 1)).to(at::kLong).clamp_max(count - 2);
  return (clusters + 1 + steps).remainder(count);
}

sample::Denoiser Drawing::guided(const Tensor& clusters, const std::vector<int64_t>& samples) const {
  const auto guidance = sample::guidance_of(request.sample);
  const int64_t n = clusters.size(0);
  const bool told = conditional();
  const auto plain = prior.defined() ? model::Condition::null() : network::unconditional_for(config);
  const auto condition = told ? given(config, network, clusters, samples) : plain;
  const auto here = under(network, condition);
  if (request.guide) {
    const auto& guide = *request.guide;
    const auto& of = guide.info.config;
    const auto its = told              ? given(of, guide.network, clusters, samples)
                     : prior.defined() ? model::Condition::null()
                                       : network::unconditional_for(of);
    return sample::guided(here, under(guide.network, its), guidance);
  }
  if (!told) return here;
  if (request.sample.guide == sample::Guide::kInput) return at_strength(condition);
  const bool other = request.sample.guide == sample::Guide::kOther;
  const auto away =
      other ? given(config, network, other_clusters(clusters, samples), samples) : model::Condition::null();
  const auto joined = under(network, join(condition, other ? &away : nullptr, n));
  return sample::guided(here, under(network, away), guidance, [joined, n](const Tensor& x_t, double t) {
    const auto both = joined.answer(at::cat({x_t, x_t}), t);
    const auto half = [&](const Tensor& of_both, int64_t which) {
      return of_both.defined() ? of_both.slice(0, which * n, (which + 1) * n) : of_both;
    };
    return std::pair<sample::Answer, sample::Answer>({half(both.velocity, 0), half(both.variance, 0)},
                                                     {half(both.velocity, 1), half(both.variance, 1)});
  });
}

sample::Denoiser Drawing::denoiser(const Tensor& clusters, const std::vector<int64_t>& samples) const {
  return sample::clipped(guided(clusters, samples), request.sample.clip, request.sample.clip_percentile);
}

std::vector<double> Drawing::find_grid() const {
  const auto fitted = [&](int64_t steps) {
    const c10::InferenceMode inference;
    const auto samples = rng::consecutive(0, kPilot);
    const Shape shape{config.data.channels, config.data.size, config.data.size};
    const auto x = rng::normal({0, rng::Purpose::kSampleNoise, 1}, samples, shape, device);
    return sample::fitted_grid(sample::measure_bend(denoiser(draw_clusters(samples), samples), x), steps);
  };
  auto times = sample::time_grid(request.sample, network.predictions, fitted);
  if (request.from.defined())
    for (auto& t : times) t = 1 - request.strength + request.strength * t;
  return times;
}

Tensor Drawing::walk(const Tensor& noise, const Tensor& clusters, const std::vector<int64_t>& samples,
                     const sample::StepFn& after_step) const {
  auto network_says = denoiser(clusters, samples);
  if (effort) effort->images += static_cast<int64_t>(samples.size());
  auto x = noise;
  if (request.from.defined()) {
    const auto from = request.from.to(device);
    x = from * grid.front() + noise * network_says.noise_share(grid.front());
    if (request.drawn_anew.defined()) {
      // Elsewhere the way is known: straight from the noise to the image.
      const double kept = 1 - config.flow.sigma_min;
      const auto known = from - kept * noise, anew = request.drawn_anew.to(device);
      network_says = sample::Denoiser(
          [inner = std::move(network_says), known, anew](const Tensor& x_t, double t) -> sample::Answer {
            return at::where(anew, inner.velocity(x_t, t), known);
          },
          config.flow.sigma_min);
    }
  }
  if (watch) {
    network_says = sample::Denoiser(
        [this, inner = std::move(network_says)](const Tensor& x_t, double t) {
          auto answer = inner.answer(x_t, t);
          watch(x_t, t, answer);
          return answer;
        },
        config.flow.sigma_min);
  }
  const Shape shape{config.data.channels, config.data.size, config.data.size};
  const auto step_noise = [&](int64_t step) {
    return rng::normal(stream(rng::Purpose::kSampleStep, step), samples, shape, device);
  };
  return sample::run(request.sample, network_says, x, grid, step_noise, after_step);
}

Group Drawing::draw_group(const RowRange& images, const sample::StepFn& after_step) const {
  const c10::InferenceMode inference;
  const int64_t first = images.begin;
  const auto samples = rng::consecutive(first, images.size());
  Group out;
  Tensor noise;
  if (request.between) {
    const auto [a, b] = *request.between;
    const auto n = static_cast<int64_t>(samples.size());
    const double last = static_cast<double>(std::max<int64_t>(1, request.sample.count - 1));
    const auto share = ((at::arange(first, first + n) - request.first) / last).clamp(0, 1);
    const auto ends_a = std::vector<int64_t>(samples.size(), a), ends_b = std::vector<int64_t>(samples.size(), b);
    noise = on_arc(draw_noise(ends_a), draw_noise(ends_b), share.to(device, at::kFloat));
    const auto of_a = draw_clusters(ends_a), of_b = draw_clusters(ends_b);
    auto nearer_a = share.lt(0.5);
    while (nearer_a.dim() < of_a.dim()) nearer_a = nearer_a.unsqueeze(-1);
    out.clusters = at::where(nearer_a, of_a, of_b);
  } else {
    noise = draw_noise(samples);
    out.clusters = draw_clusters(samples);
  }
  try {
    if (request.sample.solver == sample::Solver::kDopri5Each) {
      std::vector<Tensor> each;
      for (size_t i = 0; i < samples.size(); ++i) {
        const auto at = static_cast<int64_t>(i);
        each.push_back(walk(noise.slice(0, at, at + 1), out.clusters.slice(0, at, at + 1), {samples[i]}, {}));
      }
      out.x = at::cat(each);
    } else {
      out.x = walk(noise, out.clusters, samples, after_step);
    }
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {  // an adaptive solver that finds no end
    throw NotFinite(cat("images from ", first, " on (", to_text(request.sample), "): ", error.what()));
  }
  return out;
}

}  // namespace sdg::generate
