#include "sdg/generate/generate.h"

#include <algorithm>
#include <cmath>

#include "sdg/cluster/label_prior.h"
#include "sdg/core/error.h"
#include "sdg/core/finite.h"
#include "sdg/core/parallel.h"
#include "sdg/core/rng.h"
#include "sdg/image/image.h"
#include "sdg/sample/grid.h"
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
  const auto twice = [](const Tensor& each) { return each.defined() ? at::cat({each, each}) : each; };
  const auto value = twice(given.value), map = twice(given.map);
  auto drop = at::zeros({2 * n}, (value.defined() ? value : map).options().dtype(at::kBool));
  drop.slice(0, n).fill_(true);
  return model::Condition::given(value, drop, map);
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
  const Request& request;

  bool conditional() const { return prior.defined() && !draws_unconditionally(request); }
  rng::Stream stream(rng::Purpose purpose, int64_t step = 0) const {
    return {static_cast<uint64_t>(request.sample.seed), purpose, static_cast<uint64_t>(step)};
  }

  Tensor draw_clusters(const std::vector<int64_t>& samples) const {
    const auto n = static_cast<int64_t>(samples.size());
    if (!conditional()) return at::full({n}, -1, at::kLong);
    if (prior.dim() == 2) {  // maps of clusters
      if (request.map.defined()) return request.map.unsqueeze(0).repeat({n, 1});
      if (request.cluster >= 0) return at::full({n, prior.size(1)}, request.cluster, at::kLong);
      const auto which = rng::uniform(stream(rng::Purpose::kSampleCluster), samples, {})
                             .mul(static_cast<double>(prior.size(0)))
                             .to(at::kLong);
      return prior.index_select(0, which.clamp_max(prior.size(0) - 1));
    }
    if (request.cluster >= 0) return at::full({n}, request.cluster, at::kLong);
    return cluster::draw(prior, stream(rng::Purpose::kSampleCluster), samples);
  }

  // The network under one condition.
  sample::Denoiser under(const model::Condition& condition) const {
    return sample::Denoiser(
        [this, condition](const Tensor& x_t, double t) {
          return network.velocity(x_t, at::full({x_t.size(0)}, t, x_t.options()), condition);
        },
        config.flow.sigma_min);
  }

  sample::Denoiser denoiser(const Tensor& clusters) const {
    if (!prior.defined()) return under(network::unconditional_for(config));
    if (!conditional()) return under(model::Condition::null());
    const auto given = network::condition_for(config, network, clusters.to(device));
    const int64_t n = clusters.size(0);
    const auto joined = under(join(given, n));
    return sample::guided(under(given), under(model::Condition::null()), sample::guidance_of(request.sample),
                          [joined, n](const Tensor& x_t, double t) {
                            const auto both = joined.velocity(at::cat({x_t, x_t}), t);
                            return std::pair{both.slice(0, 0, n), both.slice(0, n)};
                          });
  }

  Group draw_group(int64_t first) const {
    const c10::InferenceMode inference;
    const auto samples = rng::consecutive(first, group_size(device));
    const Shape shape{config.data.channels, config.data.size, config.data.size};
    Group out;
    out.clusters = draw_clusters(samples);
    const auto x = rng::normal(stream(rng::Purpose::kSampleNoise), samples, shape).to(device);
    const auto noise = [&](int64_t step) {
      return rng::normal(stream(rng::Purpose::kSampleStep, step), samples, shape).to(device);
    };
    try {
      out.x = sample::run(request.sample, denoiser(out.clusters), x,
                          sample::time_grid(request.sample, network.predictions), noise);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& error) {  // an adaptive solver that finds no end
      throw NotFinite(cat("images from ", first, " on (", to_text(request.sample), "): ", error.what()));
    }
    return out;
  }
};

// x [n, ...], of which the first is image `first`.
void check_drawn(const Tensor& x, int64_t first, const sample::SampleOptions& options) {
  if (is_finite(x)) return;
  for (int64_t i = 0; i < x.size(0); ++i) {
    if (!is_finite(x[i]))
      throw NotFinite(cat("image ", first + i, " is not finite (", to_text(options),
                          "): the network or these settings let it grow without bound"));
  }
}

void check(const recipe::RunConfig& config, const Tensor& prior, const Request& request) {
  sample::check(request.sample);
  SDG_CHECK_USAGE(request.cluster < 0 || prior.defined(),
                  "--cluster and --class need a conditional run, this one has condition.source ",
                  config::name(config.condition.source));
  const int64_t clusters = !prior.defined() ? 0 : prior.dim() == 2 ? config.cluster.clusters : prior.size(0);
  SDG_CHECK_USAGE(request.cluster < clusters, "cluster must be 0 to ", clusters - 1, ", got ", request.cluster);
  if (!request.map.defined()) return;
  SDG_CHECK_USAGE(prior.defined() && prior.dim() == 2,
                  "a map of clusters needs a run with cluster.level patch that was trained with conditions");
  SDG_CHECK_USAGE(request.map.numel() == prior.size(1), "the map of clusters needs ", prior.size(1),
                  " entries, one a patch, got ", request.map.numel());
  SDG_CHECK_USAGE(request.map.min().item<int64_t>() >= 0 && request.map.max().item<int64_t>() < clusters,
                  "the map's clusters must be 0 to ", clusters - 1);
}

}  // namespace

bool draws_unconditionally(const Request& request) {
  return request.unconditional || sample::is_unconditional(request.sample);
}

void generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
              const at::Device& device, const Request& request, const std::function<void(const Generated&)>& take,
              const Progress& progress) {
  check(config, prior, request);
  const Drawing drawing{config, network, prior, device, request};
  const int64_t group = group_size(device);
  const int64_t begin = request.first, end = request.first + request.sample.count;
  const int64_t first_group = begin / group, last_group = (end - 1) / group;
  const int64_t at_once = std::max<int64_t>(1, request.sample.batch / group);
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
    check_drawn(wanted, start * group + from, request.sample);
    piece.images = request.to_images ? request.to_images(wanted) : image::to_uint8(wanted).cpu();
    piece.clusters = at::cat(clusters).slice(0, from, to);
    take(piece);
    if (progress) progress(start * group + to - begin, request.sample.count);
  }
}

Generated generate(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                   const at::Device& device, const Request& request, const Progress& progress) {
  std::vector<Tensor> images, clusters;
  generate(
      config, network, prior, device, request,
      [&](const Generated& piece) {
        images.push_back(piece.images);
        clusters.push_back(piece.clusters);
      },
      progress);
  return {at::cat(images), at::cat(clusters)};
}

}  // namespace sdg::generate
