// From images to their noise: there and back, and their density.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "generate/drawing.h"
#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/sample/likelihood.h"

namespace sdg::generate {
namespace {

// dopri5_each walks images one by one, which walks of groups there and back do not. A cluster whose images were each
// told something else has no condition of its own to walk under.
void check_either_way(const network::Network& network, const Request& request) {
  SDG_CHECK_USAGE(request.cluster < 0 || !clusters_of_rows(network).defined(),
                  "a cluster to walk under: this run tells each image its own embedding, and the cluster has none");
  const auto solver = request.sample.solver;
  SDG_CHECK_USAGE(sample::goes_either_way(solver) && solver != sample::Solver::kDopri5Each, "solver ",
                  config::name(solver), " goes only from noise to image; take heun, rk4 or dopri5");
}

// Without condition where none is named: what images belong to is not known.
Request without_prior(const Request& request) {
  Request out = request;
  out.unconditional = request.cluster < 0 && request.mixture.empty() && !request.map.defined();
  return out;
}

}  // namespace

Inverted invert(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                const at::Device& device, const Request& request, const Tensor& x) {
  check(config, network, prior, request);
  check_either_way(network, request);
  SDG_CHECK_USAGE(x.size(0) <= group_size(device), "invert: at most ", group_size(device), " images at once");
  Drawing drawing{config, network, prior, device, request};
  const c10::InferenceMode inference;
  auto grid = drawing.find_grid();
  const auto samples = rng::consecutive(0, x.size(0));
  const auto told = without_prior(request);
  const Drawing under{config, network, prior, device, told};
  const auto clusters = under.draw_clusters(samples);
  std::reverse(grid.begin(), grid.end());
  Inverted out;
  out.noise = sample::run(request.sample, under.denoiser(clusters, samples), x.to(device), grid);
  std::reverse(grid.begin(), grid.end());
  out.images = sample::run(request.sample, under.denoiser(clusters, samples), out.noise, grid);
  return out;
}

Tensor log_densities(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                     const at::Device& device, const Request& request, const Tensor& x, int64_t probes) {
  const auto told = without_prior(request);
  check(config, network, prior, told);
  check_either_way(network, told);
  Drawing drawing{config, network, prior, device, told};
  drawing.grid = drawing.find_grid();
  const int64_t group = group_size(device), groups = (x.size(0) + group - 1) / group;
  std::vector<Tensor> densities(static_cast<size_t>(groups));
  const auto one = [&](int64_t i) {
    const auto part = x.slice(0, i * group, (i + 1) * group).to(device);
    const auto samples = rng::consecutive(request.first + i * group, part.size(0));
    std::vector<Tensor> signs;
    for (int64_t k = 0; k < probes; ++k) {
      const auto u = rng::uniform(drawing.stream(rng::Purpose::kTraceProbe, k), samples, part.sizes().slice(1));
      signs.push_back((u.ge(0.5).to(part.scalar_type()) * 2 - 1).to(device));
    }
    const auto denoiser = drawing.denoiser(drawing.draw_clusters(samples), samples);
    densities[static_cast<size_t>(i)] =
        sample::log_likelihood(told.sample, denoiser, part, drawing.grid, signs).log_density.cpu();
  };
  if (device.is_cpu()) {
    worker_pool().run(groups, one);
  } else {
    for (int64_t i = 0; i < groups; ++i) one(i);
  }
  return at::cat(densities);
}

Tensor dequantised(const Tensor& images, uint64_t seed, int64_t first) {
  const auto samples = rng::consecutive(first, images.size(0));
  const auto place = rng::uniform({seed, rng::Purpose::kDequantise, 0}, samples, images.sizes().slice(1));
  return (images.to(at::kFloat) + place - 0.5) / 127.5 - 1;
}

Tensor bits_per_dimension(const Tensor& log_density, int64_t dimensions) {
  return -log_density / (std::numbers::ln2 * static_cast<double>(dimensions)) + std::log2(127.5);
}

}  // namespace sdg::generate
