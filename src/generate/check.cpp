#include "generate/drawing.h"
#include "sdg/core/error.h"
#include "sdg/sample/guidance.h"

namespace sdg::generate {
namespace {

void check_rows(const Tensor& prior, const Request& request, int64_t clusters) {
  const auto& rows = request.rows;
  SDG_CHECK_USAGE(prior.defined() && prior.dim() == 1, "conditions in order need a run with one condition an image");
  SDG_CHECK_USAGE(request.cluster < 0 && request.mixture.empty() && !request.map.defined(),
                  "conditions in order leave no cluster or map to choose");
  SDG_CHECK_USAGE(
      rows.dim() == 1 && rows.numel() > 0 && rows.min().item<int64_t>() >= 0 && rows.max().item<int64_t>() < clusters,
      "conditions in order must lie in 0 to ", clusters - 1);
}

void check_map(const Tensor& prior, const Tensor& map, int64_t clusters) {
  SDG_CHECK_USAGE(prior.defined() && prior.dim() == 2,
                  "a map of clusters needs a run with cluster.level patch that was trained with conditions");
  SDG_CHECK_USAGE(map.numel() == prior.size(1), "the map of clusters needs ", prior.size(1),
                  " entries, one a patch, got ", map.numel());
  SDG_CHECK_USAGE(map.min().item<int64_t>() >= 0 && map.max().item<int64_t>() < clusters,
                  "the map's clusters must be 0 to ", clusters - 1);
}

void check_mixture(const Tensor& prior, const Tensor& of_rows, const Request& request, int64_t clusters) {
  SDG_CHECK_USAGE(prior.dim() == 1, "a mixture of clusters needs a run whose images have one cluster each");
  SDG_CHECK_USAGE(
      !of_rows.defined(),
      "a mixture of clusters needs one condition a cluster, and this run tells each image its own embedding");
  for (const auto& [cluster, share] : request.mixture) {
    SDG_CHECK_USAGE(cluster >= 0 && cluster < clusters, "cluster must be 0 to ", clusters - 1, ", got ", cluster);
    SDG_CHECK_USAGE(share > 0, "the share of cluster ", cluster, " must be positive, got ", share);
  }
  SDG_CHECK_USAGE(request.sample.guide != sample::Guide::kOther, "guide other: a mixture has no other cluster");
}

// What the network was trained for must be there.
void check_learned(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
                   const sample::SampleOptions& sample) {
  SDG_CHECK_USAGE(sample.inner_guidance == 1 || network.model->has_inner(),
                  "inner_guidance: this network has no inner head to lead away from (it was trained without "
                  "guided.inner)");
  if (sample.guide != sample::Guide::kInput) return;
  SDG_CHECK_USAGE(network.model->takes_strength(),
                  "guide input: this network is not told the strength (it was trained without guided.learn gft)");
  constexpr double kRounding = 1e-9;
  const auto guidance = sample::guidance_of(sample);
  const double farthest = guidance.strongest(), most = config.guided.strongest();
  SDG_CHECK_USAGE(!prior.defined() || (guidance.w >= 1 && farthest <= most + kRounding),
                  "guide input: this network knows guidance 1 to ", most, " (guided.weakest ", config.guided.weakest,
                  "), got ", farthest);
}

void check_from(const recipe::RunConfig& config, const Request& request) {
  const Shape shape{config.data.channels, config.data.size, config.data.size};
  SDG_CHECK_USAGE(request.from.sizes() == shape, "the image to begin with must be ", to_string(shape), ", got ",
                  to_string(request.from.sizes()));
  SDG_CHECK_USAGE(request.strength > 0 && request.strength <= 1,
                  "strength: expected a number above 0 and at most 1, got ", request.strength);
  if (!request.drawn_anew.defined()) return;
  SDG_CHECK_USAGE(request.drawn_anew.sizes() == Shape({config.data.size, config.data.size}), "the mask must be ",
                  config.data.size, " x ", config.data.size, ", got ", to_string(request.drawn_anew.sizes()));
  SDG_CHECK_USAGE(!sample::adds_noise(request.sample), "solver ", config::name(request.sample.solver),
                  " adds noise on the way, which a mask does not allow: what stays would not stay");
}

}  // namespace

void check(const recipe::RunConfig& config, const network::Network& network, const Tensor& prior,
           const Request& request) {
  const auto& sample = request.sample;
  sample::check(sample);
  check_learned(config, network, prior, sample);
  SDG_CHECK_USAGE((request.cluster < 0 && request.mixture.empty()) || prior.defined(),
                  "--cluster and --class need a conditional run, this one has condition.source ",
                  config::name(config.condition.source));
  const auto of_rows = clusters_of_rows(network);
  const bool own_clusters = prior.defined() && (prior.dim() == 2 || of_rows.defined());
  const int64_t clusters = !prior.defined() ? 0 : own_clusters ? config.cluster.clusters : prior.size(0);
  SDG_CHECK_USAGE(request.cluster < clusters, "cluster must be 0 to ", clusters - 1, ", got ", request.cluster);
  SDG_CHECK_USAGE(request.cluster < 0 || !of_rows.defined() || of_rows.eq(request.cluster).any().item<bool>(),
                  "cluster ", request.cluster, " has no image whose embedding could be drawn under");
  if (request.rows.defined()) check_rows(prior, request, of_rows.defined() ? prior.size(0) : clusters);
  if (!request.mixture.empty()) check_mixture(prior, of_rows, request, clusters);
  if (request.map.defined()) check_map(prior, request.map, clusters);
  if (request.from.defined()) check_from(config, request);
  SDG_CHECK_USAGE(request.from.defined() || (request.strength == 1 && !request.drawn_anew.defined()),
                  "strength and mask need an image to begin with");
  if (sample.prior == sample::Prior::kLearned && !draws_unconditionally(request) && !names_condition(request)) {
    SDG_CHECK_USAGE(network.vectors && prior.defined(),
                    "prior learned: needs a run that tells each image a vector, and the network that draws such "
                    "vectors (sdg fit-prior)");
    SDG_CHECK_USAGE(!request.between,
                    "prior learned: images on the way between two are told what these are told, and "
                    "a learned prior draws each its own");
  }
  const bool plain_prior = sample.prior != sample::Prior::kUniform && sample.prior_temperature == 1;
  SDG_CHECK_USAGE(plain_prior || (prior.defined() && prior.dim() == 1 && !of_rows.defined()),
                  "prior and prior_temperature need a run whose images have one cluster each, drawn by its frequency");
  const bool guides = sample::guidance_of(sample).w != 1;
  SDG_CHECK_USAGE(sample.guidance_channels <= config.data.channels, "guidance_channels: expected at most the ",
                  config.data.channels, " that this network draws, got ", sample.guidance_channels);
  const bool by_network = guides && sample.guide == sample::Guide::kNetwork;
  SDG_CHECK_USAGE(!by_network || request.guide, "guide network: name it with --guide-checkpoint");
  SDG_CHECK_USAGE(by_network || !request.guide, "--guide-checkpoint: needs guide network and a guidance other than 1");
  const bool by_other = guides && sample.guide == sample::Guide::kOther;
  SDG_CHECK_USAGE(!by_other || !network.stored,
                  "guide other: this run is told rows (of a file, or what is seen in images), of which others may be "
                  "alike");
  SDG_CHECK_USAGE(!by_other || (prior.defined() && clusters >= 2),
                  "guide other: needs a run with two clusters or classes at least");
}

}  // namespace sdg::generate
