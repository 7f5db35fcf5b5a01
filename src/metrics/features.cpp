#include "sdg/metrics/features.h"

#include <map>

#include "sdg/core/error.h"

namespace sdg::metrics {
namespace {

Tensor features_of(const std::vector<Tensor>& images, const FeatureFn& features) {
  std::map<Shape, std::vector<int64_t>> places;
  for (size_t i = 0; i < images.size(); ++i) places[images[i].sizes().vec()].push_back(static_cast<int64_t>(i));
  if (places.size() == 1) return features(at::stack(images));
  Tensor out;  // [n, F]
  for (const auto& [shape, rows] : places) {
    std::vector<Tensor> alike;
    for (const auto row : rows) alike.push_back(images[static_cast<size_t>(row)]);
    const auto some = features(at::stack(alike));
    if (!out.defined()) out = at::empty({static_cast<int64_t>(images.size()), some.size(1)}, some.options());
    out.index_copy_(0, at::tensor(rows).to(some.device()), some);
  }
  return out;
}

}  // namespace

Fed for_each_features(const ImageFeed& feed, const FeatureFn& features, const std::vector<FeatureSink*>& sinks,
                      Reducer& reducer) {
  Fed fed;
  feed([&](const std::vector<Tensor>& images) {
    if (images.empty()) return;
    for (const auto& image : images) {
      const auto size = cat(image.size(1), "x", image.size(2));
      fed.size = fed.size.empty() || fed.size == size ? size : "mixed";
    }
    const auto own = features_of(images, features);
    for (auto* sink : sinks) sink->add(own);
    fed.images += static_cast<int64_t>(images.size());
  });
  if (reducer.ranks() == 1) return fed;
  Fed all{reducer.sum(fed.images), {}};
  for (const auto& size : all_gather_texts(fed.size, reducer)) {
    if (size.empty()) continue;  // a rank without images
    all.size = all.size.empty() || all.size == size ? size : "mixed";
  }
  return all;
}

}  // namespace sdg::metrics
