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

// The size of images of sizes `a` and `b`, "HxW" or "mixed", where "" stands for none.
std::string joint_size(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.empty() ? b : a;
  return a == b ? a : "mixed";
}

}  // namespace

Fed for_each_features(const ImageFeed& feed, const FeatureFn& features, const std::vector<FeatureSink*>& sinks,
                      Reducer& reducer) {
  Fed fed;
  feed([&](const std::vector<Tensor>& images) {
    if (images.empty()) return;
    for (const auto& image : images) fed.size = joint_size(fed.size, cat(image.size(1), "x", image.size(2)));
    const auto own = features_of(images, features);
    for (auto* sink : sinks) sink->add(own);
    fed.images += static_cast<int64_t>(images.size());
  });
  if (reducer.ranks() == 1) return fed;
  Fed all{reducer.sum(fed.images), {}};
  for (const auto& size : all_gather_texts(fed.size, reducer)) all.size = joint_size(all.size, size);
  return all;
}

}  // namespace sdg::metrics
