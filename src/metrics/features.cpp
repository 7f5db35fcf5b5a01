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

// A piece for each rank: all compute at the same time, then rank 0 gets the rows of all.
class Round {
 public:
  Round(const FeatureFn& features, const std::vector<FeatureSink*>& sinks, Reducer& reducer)
      : features_(features), sinks_(sinks), reducer_(reducer) {}

  void take(const std::vector<Tensor>& images) {
    if (static_cast<int64_t>(counts_.size()) == reducer_.rank()) own_ = images;
    counts_.push_back(static_cast<int64_t>(images.size()));
    if (static_cast<int64_t>(counts_.size()) == reducer_.ranks()) end();
  }

  void end() {
    if (counts_.empty()) return;
    const auto pieces = counts_.size();
    Tensor rows;
    if (!own_.empty()) rows = features_of(own_, features_).to(at::kFloat);
    if (pieces < static_cast<size_t>(reducer_.ranks())) {  // some have none, and do not know the width
      const auto width = static_cast<int64_t>(reducer_.max(rows.defined() ? static_cast<double>(rows.size(1)) : 0));
      if (!rows.defined()) rows = at::empty({0, width});
      counts_.resize(static_cast<size_t>(reducer_.ranks()));
    }
    const auto all = reducer_.all_gather(rows.cpu(), counts_).to(rows.device());
    int64_t first = 0;
    for (size_t i = 0; i < pieces; first += counts_[i++]) {
      if (reducer_.rank() > 0) break;
      for (auto* sink : sinks_) sink->add(all.narrow(0, first, counts_[i]));
    }
    counts_.clear();
    own_.clear();
  }

 private:
  const FeatureFn& features_;
  const std::vector<FeatureSink*>& sinks_;
  Reducer& reducer_;
  std::vector<int64_t> counts_;  // images of each piece of the round
  std::vector<Tensor> own_;
};

}  // namespace

Fed for_each_features(const ImageFeed& feed, const FeatureFn& features, const std::vector<FeatureSink*>& sinks,
                      Reducer& reducer) {
  Fed fed;
  const bool alone = reducer.ranks() == 1;
  Round round(features, sinks, reducer);
  feed([&](const std::vector<Tensor>& images) {
    if (images.empty()) return;
    for (const auto& image : images) fed.size = joint_size(fed.size, cat(image.size(1), "x", image.size(2)));
    fed.images += static_cast<int64_t>(images.size());
    if (!alone) return round.take(images);
    const auto own = features_of(images, features);
    for (auto* sink : sinks) sink->add(own);
  });
  if (!alone) round.end();
  return fed;
}

}  // namespace sdg::metrics
