// condition.source kmeans: clusters of a finished run's features, made once and kept in the run's folder.
#include "conditions/sources.h"

#include "sdg/checkpoint/audit.h"
#include "sdg/checkpoint/same_data.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/config/write.h"
#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/io/digest.h"
#include "sdg/network/features.h"

namespace sdg::conditions {
namespace {

/// Clusters of a finished run's features.
class Offline {
 public:
  explicit Offline(const ConditionContext& context)
      : context_(context),
        source_(
            checkpoint::load_trained(checkpoint::find_checkpoint(context.config.condition.run, ""), context.device)),
        tap_(source_.info.config) {
    tap_.cluster = context.config.cluster;  // where to tap is this run's choice, the network is the other's
    how_.kmeans.clusters = context.config.cluster.clusters;
    how_.kmeans.seed = recipe::seed_of(context.config);
  }

  /// Digest of all that the clusters follow from.
  std::string recipe() const {
    io::Digest out;
    for (const auto& [name, tensor] : source_.network.tensors("")) out.text(name).tensor(tensor);
    auto network = source_.info.config;
    const auto& data = context_.config.data;
    out.text(config::to_yaml(config::Fields::of(network))).text(tap_text(tap_, depth()));
    out.number(how_.kmeans.clusters).number(static_cast<int64_t>(how_.kmeans.seed));
    out.number(data.size).number(data.channels);
    return out.number(context_.fingerprint.images).text(context_.fingerprint.contents).hex();
  }

  std::pair<PseudoLabels, PseudoLabelOrigin> make() const {
    if (context_.begin)
      context_.begin(cat("clustering the features of ", source_.path, " into ", how_.kmeans.clusters));
    const auto& dataset = context_.dataset;
    const auto features = network::extract_features(tap_, source_.network, dataset, rng::consecutive(0, dataset.size()),
                                                    {network::own_tap(tap_, *source_.network.model)}, context_.device)
                              .front();
    const auto chain = checkpoint::provenance_of(source_.info);
    return {cluster_features(features, how_),
            {source_.path, to_text(chain.verdict()), tap_text(tap_, depth()), chain, context_.fingerprint, recipe()}};
  }

 private:
  int64_t depth() const { return network::feature_depth(tap_, *source_.network.model); }

  const ConditionContext& context_;
  checkpoint::Trained source_;
  recipe::RunConfig tap_;
  OfflineKmeans how_;
};

Tensor make_anew(const ConditionContext& context, const Offline& offline) {
  const auto [labels, origin] = offline.make();
  context.folder.create();
  tensors::write_tensors(context.folder.pseudo_labels(), pseudo_label_file(labels, origin));
  return labels.ids;
}

// Why a file cannot be read; "" where it can.
std::string damage_of(const std::filesystem::path& path) {
  try {
    tensors::read_tensors(path);
    return {};
  } catch (const Error& error) {
    return error.what();
  }
}

Tensor offline_clusters(const ConditionContext& context) {
  const auto stored = context.folder.pseudo_labels();
  const bool exists = std::filesystem::exists(stored);
  const auto damage = exists ? damage_of(stored) : std::string();
  if (!damage.empty()) context.note(damage);
  const bool there = exists && damage.empty();
  const auto images = context.dataset.size();
  if (!context.before) {
    const Offline offline(context);
    if (there && pseudo_label_origin(stored).recipe == offline.recipe()) return read_indices(stored, images);
    if (there)
      context.note(cat(stored.string(),
                       ": was made from something else (network, tap, K, seed or images) and is made "
                       "anew"));
    return make_anew(context, offline);
  }
  const auto& wanted = context.before->conditions;
  if (there) {
    checkpoint::check_made_for(pseudo_label_origin(stored).images, context.fingerprint, stored.string(),
                               context.opened.path);
    const auto ids = read_indices(stored, images);
    if (wanted.empty() || condition_key(ids) == wanted) return ids;
  }
  const auto* lost = exists ? ": is damaged" : ": is gone";
  context.note(cat(stored.string(), there ? ": holds other clusters than the run was trained on" : lost,
                   "; they are made anew"));
  const auto [labels, origin] = Offline(context).make();
  SDG_CHECK(wanted.empty() || condition_key(labels.ids) == wanted, stored.string(),
            there ? ": holds other clusters" : lost, ", and clustering the features of ", context.config.condition.run,
            " anew does not give those the run was trained on: bring the file back, or choose another --run");
  tensors::write_tensors(stored, pseudo_label_file(labels, origin));
  return labels.ids;
}

class KmeansSource : public ConditionSource {
 public:
  GivenConditions given(const ConditionContext& context) const override {
    GivenConditions out;
    out.ids = offline_clusters(context);
    out.origin = pseudo_label_origin(context.folder.pseudo_labels());
    out.classes = context.config.cluster.clusters;
    return out;
  }

  Tensor ids_of(const checkpoint::Trained& trained, const data::OpenedData&, const data::Dataset& dataset,
                const std::vector<int64_t>& indices, const at::Device&, const Progress&) const override {
    return stored_ids(trained, checkpoint::RunFolder::of_checkpoint(trained.path).pseudo_labels(), dataset.size(),
                      indices);
  }
};

}  // namespace

std::unique_ptr<ConditionSource> kmeans_source() {
  return std::make_unique<KmeansSource>();
}

}  // namespace sdg::conditions
