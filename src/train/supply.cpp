#include "train/supply.h"

#include "sdg/core/error.h"
#include "sdg/core/rng.h"
#include "sdg/io/tensor_file.h"
#include "sdg/train/assign.h"
#include "sdg/train/audit.h"
#include "sdg/train/checkpoint.h"
#include "sdg/train/pseudo_labels.h"

namespace sdg::train {
namespace {

Tensor pseudo_labels(const RunConfig& config, const RunFolder& folder, const data::Dataset& dataset,
                     const at::Device& device, const std::function<void(const std::string&)>& on_event) {
  const auto stored = folder.pseudo_labels();
  if (std::filesystem::exists(stored)) return io::read_tensors(stored).at("ids", stored.string());
  const auto source = load_trained(find_checkpoint(config.condition.run, ""), device);
  if (on_event) on_event(cat("clustering the features of ", source.path, " into ", config.cluster.clusters));
  auto tap = source.info.config;
  tap.cluster = config.cluster;  // where to tap is this run's choice, the network is the other's
  const auto features = extract_features(tap, source.network, dataset, rng::indices(0, dataset.size()), device);
  OfflineKmeans how;
  how.kmeans.clusters = config.cluster.clusters;
  how.kmeans.seed = seed_of(config);
  const auto labels = cluster_features(features, how);
  folder.create();
  io::write_tensors(stored, pseudo_label_file(labels, {source.path, to_string(audit(source.info).label_free),
                                                       tap_text(tap, feature_depth(tap, *source.network.model))}));
  return labels.ids;
}

}  // namespace

Supply open_supply(const RunConfig& config, const RunFolder& folder, const at::Device& device,
                   const std::function<void(const std::string&)>& on_event) {
  Supply supply;
  supply.opened = data::open_data(config.data, config.config_dir);
  supply.dataset = std::make_unique<data::Dataset>(supply.opened, config.data);
  if (const auto& latents = supply.opened.latents) {
    supply.pictures = config.train.picture_every > 0;  // else nobody needs the autoencoder
    if (supply.pictures)
      supply.to_images = decode_with(load_decoder(latents->card(), config.data.autoencoder, device), device);
  }
  const auto& source = config.condition.source;
  const bool clusters = source == "online" || source == "kmeans" || source == "recluster";
  SDG_CHECK_USAGE(!clusters || config.cluster.clusters <= supply.dataset->size(),
                  "cluster.clusters: ", config.cluster.clusters, " clusters of a data set of ", supply.dataset->size(),
                  " images");
  if (source == "label") {
    SDG_CHECK_USAGE(supply.opened.labels, "condition.source: label needs a data set with classes; ",
                    supply.opened.description, " has none");
    supply.ids = supply.opened.labels->labels();
    supply.class_names = supply.opened.labels->class_names();
    supply.classes = static_cast<int64_t>(supply.class_names.size());
  } else if (source == "kmeans") {
    supply.ids = pseudo_labels(config, folder, *supply.dataset, device, on_event);
    supply.origin = pseudo_label_origin(folder.pseudo_labels());
    supply.classes = config.cluster.clusters;
  } else if (source == "recluster") {
    supply.classes = config.cluster.clusters;
  } else if (source == "file") {
    supply.ids = read_indices(config.condition.file, supply.dataset->size());
    supply.origin = pseudo_label_origin(config.condition.file);
    supply.classes = supply.ids.max().item<int64_t>() + 1;
  }
  return supply;
}

}  // namespace sdg::train
