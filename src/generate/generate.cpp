#include "sdg/generate/generate.h"

#include <algorithm>
#include <cmath>

#include "sdg/cluster/label_prior.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/parallel.h"
#include "sdg/core/rng.h"
#include "sdg/image/image.h"
#include "sdg/sample/guidance.h"
#include "sdg/sample/solver.h"

namespace sdg::generate {
namespace {

// Images computed together. On the CPU a group is one thread's work; a GPU wants more at once.
int64_t group_size(const at::Device& device) {
  return device.is_cpu() ? 16 : 256;
}

model::Condition join(const model::Condition& given, int64_t n) {
  // One doubled batch: the first half conditional, the second half null through the drop mask.
  const auto twice = at::cat({given.value, given.value});
  auto drop = at::zeros({2 * n}, twice.options().dtype(at::kBool));
  drop.slice(0, n).fill_(true);
  return model::Condition::given(twice, drop);
}

/// Consecutive images before they are pictures.
struct Group {
  Tensor x, clusters;
};

struct Drawing {
  const recipe::RunConfig& config;
  const network::Network& network;
  const Tensor& prior;
  at::Device device;
  const GenerateOptions& options;

  bool conditional() const { return prior.defined() && !draws_unconditionally(options); }

  Tensor draw_clusters(const std::vector<int64_t>& samples) const {
    const auto n = static_cast<int64_t>(samples.size());
    if (!conditional()) return at::full({n}, -1, at::kLong);
    const rng::Stream stream{static_cast<uint64_t>(options.seed), rng::Purpose::kSampleCluster, 0};
    if (prior.dim() == 2) {  // maps of clusters
      if (options.map.defined()) return options.map.unsqueeze(0).repeat({n, 1});
      if (options.cluster >= 0) return at::full({n, prior.size(1)}, options.cluster, at::kLong);
      const auto which = rng::uniform(stream, samples, {}).mul(static_cast<double>(prior.size(0))).to(at::kLong);
      return prior.index_select(0, which.clamp_max(prior.size(0) - 1));
    }
    if (options.cluster >= 0) return at::full({n}, options.cluster, at::kLong);
    return cluster::draw(prior, stream, samples);
  }

  Tensor velocity(const Tensor& x_t, double time, const model::Condition& given) const {
    const int64_t n = x_t.size(0);
    const auto t = at::full({n}, time, x_t.options());
    if (!prior.defined()) return network.velocity(x_t, t, network::unconditional_for(config));
    if (!conditional()) return network.velocity(x_t, t, model::Condition::null());
    const double w = guidance_at(options, time);
    if (w == 1.0) return network.velocity(x_t, t, given);
    if (w == 0.0) return network.velocity(x_t, t, model::Condition::null());
    const auto both = network.velocity(at::cat({x_t, x_t}), at::cat({t, t}), join(given, n));
    return sample::guide(both.slice(0, n), both.slice(0, 0, n), w);
  }

  Group draw_group(int64_t first) const {
    const c10::InferenceMode inference;
    const auto samples = rng::consecutive(first, group_size(device));
    const Shape shape{config.data.channels, config.data.size, config.data.size};
    Group out;
    out.clusters = draw_clusters(samples);
    const auto x =
        rng::normal({static_cast<uint64_t>(options.seed), rng::Purpose::kSampleNoise, 0}, samples, shape).to(device);
    const auto given = conditional() ? network::condition_for(config, network, out.clusters.to(device))
                                     : model::Condition::unconditional();
    const auto grid =
        options.grid == "own" ? network.predictions.own_grid(options.steps) : sample::uniform_grid(options.steps);
    try {
      out.x = sample::integrate(
          options.solver, [&](const Tensor& x_t, double t) { return velocity(x_t, t, given); }, x, grid);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {  // an adaptive solver that finds no end
      throw NotFinite(cat("images from ", first, " on (", to_text(options), "): ", error.what()));
    }
    return out;
  }
};

// x [n, ...], of which the first is image `first`.
void check_drawn(const Tensor& x, int64_t first, const GenerateOptions& options) {
  if (is_finite(x)) return;
  for (int64_t i = 0; i < x.size(0); ++i) {
    if (!is_finite(x[i]))
      throw NotFinite(cat("image ", first + i, " is not finite (", to_text(options),
                          "): the network or these settings let it grow without bound"));
  }
}

void check(const recipe::RunConfig& config, const Tensor& prior, const GenerateOptions& options) {
  SDG_CHECK_USAGE(options.count >= 1, "count must be at least 1, got ", options.count);
  SDG_CHECK_USAGE(options.seed >= 0, "seed must be at least 0, got ", options.seed);
  SDG_CHECK_USAGE(std::isfinite(options.guidance), "guidance must be finite, got ", options.guidance);
  SDG_CHECK_USAGE(options.steps >= 1, "steps must be at least 1, got ", options.steps);
  SDG_CHECK_USAGE(options.guidance_begin <= options.guidance_end, "guidance interval: begin ", options.guidance_begin,
                  " is after end ", options.guidance_end);
  SDG_CHECK_USAGE(options.cluster < 0 || prior.defined(),
                  "--cluster and --class need a conditional run, this one has condition.source ",
                  config::name(config.condition.source));
  const int64_t clusters = !prior.defined() ? 0 : prior.dim() == 2 ? config.cluster.clusters : prior.size(0);
  SDG_CHECK_USAGE(options.cluster < clusters, "cluster must be 0 to ", clusters - 1, ", got ", options.cluster);
  if (!options.map.defined()) return;
  SDG_CHECK_USAGE(prior.defined() && prior.dim() == 2,
                  "a map of clusters needs a run with cluster.level patch that was trained with conditions");
  SDG_CHECK_USAGE(options.map.numel() == prior.size(1), "the map of clusters needs ", prior.size(1),
                  " entries, one a patch, got ", options.map.numel());
  SDG_CHECK_USAGE(options.map.min().item<int64_t>() >= 0 && options.map.max().item<int64_t>() < clusters,
                  "the map's clusters must be 0 to ", clusters - 1);
}

}  // namespace

double guidance_at(const GenerateOptions& options, double t) {
  constexpr double kRounding = 1e-9;  // stage times are sums: 0.2 + 0.1 lies in an interval up to 0.3
  const bool begun = options.guidance_begin <= 0 || t >= options.guidance_begin - kRounding;
  const bool over = options.guidance_end < 1 && t > options.guidance_end + kRounding;
  return begun && !over ? options.guidance : 1.0;
}

bool draws_unconditionally(const GenerateOptions& options) {
  const bool always = options.guidance_begin <= 0 && options.guidance_end >= 1;
  return options.unconditional || (options.guidance == 0 && always);
}

std::string to_text(const GenerateOptions& options) {
  const bool whole = options.guidance_begin <= 0 && options.guidance_end >= 1;
  return cat("seed ", options.seed, ", guidance ", options.guidance,
             whole ? std::string() : cat(" from ", options.guidance_begin, " to ", options.guidance_end), ", ",
             options.solver == "dopri5" ? std::string() : cat(options.steps, " "), options.solver, " steps");
}

GenerateOptions sampling_defaults(const recipe::RunConfig& config) {
  GenerateOptions options;
  options.count = config.sample.count;
  options.batch = config.sample.batch;
  options.seed = config.sample.seed;
  options.steps = config.sample.steps;
  options.guidance = config.sample.guidance;
  options.guidance_begin = config.sample.guidance_begin;
  options.guidance_end = config.sample.guidance_end;
  options.solver = config.sample.solver;
  options.grid = config.sample.grid;
  return options;
}

void generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
              const at::Device& device, const GenerateOptions& options,
              const std::function<void(const Generated&)>& take, const Progress& progress) {
  check(config, prior, options);
  const Drawing drawing{config, network, prior, device, options};
  const int64_t group = group_size(device);
  const int64_t begin = options.first, end = options.first + options.count;
  const int64_t first_group = begin / group, last_group = (end - 1) / group;
  const int64_t at_once = std::max<int64_t>(1, options.batch / group);
  for (int64_t start = first_group; start <= last_group; start += at_once) {
    const int64_t groups = std::min(at_once, last_group - start + 1);
    std::vector<Group> drawn(static_cast<size_t>(groups));
    const auto one = [&](int64_t i) { drawn[static_cast<size_t>(i)] = drawing.draw_group((start + i) * group); };
    if (device.is_cpu()) {
      worker_pool().run(groups, one);
    } else {
      for (int64_t i = 0; i < groups; ++i) one(i);
    }
    Generated piece;
    std::vector<Tensor> x, clusters;
    for (const auto& each : drawn) {
      x.push_back(each.x);
      clusters.push_back(each.clusters);
    }
    const int64_t from = std::max(begin, start * group) - start * group;
    const int64_t to = std::min(end, (start + groups) * group) - start * group;
    const c10::InferenceMode inference;
    const auto wanted = at::cat(x).slice(0, from, to);
    check_drawn(wanted, start * group + from, options);
    piece.images = options.to_images ? options.to_images(wanted) : image::to_uint8(wanted).cpu();
    piece.clusters = at::cat(clusters).slice(0, from, to);
    take(piece);
    if (progress) progress(start * group + to - begin, options.count);
  }
}

Generated generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                   const at::Device& device, const GenerateOptions& options, const Progress& progress) {
  std::vector<Tensor> images, clusters;
  generate(
      config, network, prior, device, options,
      [&](const Generated& piece) {
        images.push_back(piece.images);
        clusters.push_back(piece.clusters);
      },
      progress);
  return {at::cat(images), at::cat(clusters)};
}

}  // namespace sdg::generate
