#include "sdg/generate/guide_network.h"

#include "sdg/core/error.h"

namespace sdg::generate {
namespace {

Tensor directions(const network::Network& network) {
  const auto rows = network.head->prototypes->weight.detach();
  return rows / rows.norm(2, {1}, true).clamp_min(1e-12);  // [K, D]
}

void check_prototypes(const std::string& where, const network::Network& network, const network::Network& guide) {
  const auto ours = directions(network), theirs = directions(guide);
  SDG_CHECK_USAGE(ours.sizes() == theirs.sizes(), where, ours.size(0), " clusters of ", ours.size(1),
                  " numbers against ", theirs.size(0), " of ", theirs.size(1));
  const auto nearest = at::matmul(theirs, ours.t()).argmax(1);
  const auto same = nearest.eq(at::arange(ours.size(0), nearest.options())).sum().item<int64_t>();
  SDG_CHECK_USAGE(4 * same >= 3 * ours.size(0), where, "only ", same, " of its ", ours.size(0),
                  " clusters are those of the same number; take a snapshot of the same run");
}

}  // namespace

void check_guide(const checkpoint::Trained& trained, const checkpoint::Trained& guide) {
  const auto &ours = trained.info.config, &theirs = guide.info.config;
  const auto where = cat("--guide-checkpoint: ", guide.path, ": ");
  SDG_CHECK_USAGE(ours.data.size == theirs.data.size && ours.data.channels == theirs.data.channels, where, "draws ",
                  theirs.data.channels, " x ", theirs.data.size, " x ", theirs.data.size,
                  ", the network it is to guide ", ours.data.channels, " x ", ours.data.size, " x ", ours.data.size);
  SDG_CHECK_USAGE(trained.info.latents.has_value() == guide.info.latents.has_value(), where,
                  "one of the two draws latents, the other pixels");
  SDG_CHECK_USAGE(ours.flow.sigma_min == theirs.flow.sigma_min, where, "flow.sigma_min is ", theirs.flow.sigma_min,
                  " there and ", ours.flow.sigma_min, " here");
  SDG_CHECK_USAGE(ours.condition.source == theirs.condition.source, where, "condition.source is ",
                  config::name(theirs.condition.source), " there and ", config::name(ours.condition.source), " here");
  SDG_CHECK_USAGE(trained.prior.defined() == guide.prior.defined(), where,
                  "conditions have begun in only one of the two");
  SDG_CHECK_USAGE(trained.info.classes == guide.info.classes && trained.info.class_names == guide.info.class_names &&
                      (trained.info.conditions.empty() || guide.info.conditions.empty() ||
                       trained.info.conditions == guide.info.conditions),
                  where, "its conditions are others");
  SDG_CHECK_USAGE(network::patch_level(ours) == network::patch_level(theirs), where, "cluster.level differs");
  if (trained.network.head) check_prototypes(where, trained.network, guide.network);
}

}  // namespace sdg::generate
