#include "sdg/conditions/condition_source.h"

#include <algorithm>

#include "conditions/sources.h"
#include "sdg/conditions/pseudo_labels.h"
#include "sdg/core/error.h"
#include "sdg/recipe/source.h"

namespace sdg::conditions {
namespace {

class NoSource : public ConditionSource {
 public:
  Tensor ids_of(const checkpoint::Trained& trained, const data::OpenedData&, const data::Dataset&,
                const std::vector<int64_t>&, const at::Device&, const Progress&) const override {
    throw UsageError(cat(trained.path, ": condition.source is none, there are no clusters"));
  }
};

std::unique_ptr<ConditionSource> make(recipe::Source source) {
  switch (source) {
    case recipe::Source::kNone:
      return std::make_unique<NoSource>();
    case recipe::Source::kLabel:
      return label_source();
    case recipe::Source::kOnline:
      return online_source();
    case recipe::Source::kRecluster:
      return recluster_source();
    case recipe::Source::kKmeans:
      return kmeans_source();
    case recipe::Source::kFile:
      return file_source();
  }
  return nullptr;
}

}  // namespace

const ConditionSource& condition_source(recipe::Source source) {
  static const auto all = [] {
    std::vector<std::unique_ptr<ConditionSource>> made;
    for (size_t i = 0; i < config::all_names<recipe::Source>().size(); ++i)
      made.push_back(make(static_cast<recipe::Source>(i)));
    return made;
  }();
  return *all.at(static_cast<size_t>(source));
}

Tensor stored_ids(const checkpoint::Trained& trained, const std::filesystem::path& path, int64_t images,
                  const std::vector<int64_t>& indices) {
  const auto ids = read_indices(path, images);
  const auto& wanted = trained.info.conditions;
  SDG_CHECK(wanted.empty() || condition_key(ids) == wanted, path.string(), ": holds other indices than those that ",
            trained.path, " was trained on");
  return ids.index_select(0, at::tensor(indices));
}

Tensor condition_ids(const checkpoint::Trained& trained, const data::OpenedData& opened, const data::Dataset& dataset,
                     const std::vector<int64_t>& indices, const at::Device& device, const Progress& progress) {
  return condition_source(trained.info.config.condition.source)
      .ids_of(trained, opened, dataset, indices, device, progress);
}

int64_t cluster_count(const checkpoint::Trained& trained, const Tensor& ids) {
  const auto& config = trained.info.config;
  if (recipe::facts_of(config).own_clusters) return config.cluster.clusters;
  return std::max(trained.info.classes, ids.max().item<int64_t>() + 1);
}

}  // namespace sdg::conditions
