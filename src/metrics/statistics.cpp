#include "sdg/metrics/statistics.h"

#include <map>

#include "sdg/core/error.h"

namespace sdg::metrics {

void Statistics::saw(int64_t height, int64_t width) {
  const auto size = cat(height, "x", width);
  size_ = size_.empty() || size_ == size ? size : "mixed";
}

void Statistics::add(const Tensor& images) {
  if (images.size(0) == 0) return;
  sums_.add(extractor_.features(images));
  saw(images.size(2), images.size(3));
}

void Statistics::add(const std::vector<Tensor>& images) {
  std::map<Shape, std::vector<int64_t>> places;
  for (size_t i = 0; i < images.size(); ++i) places[images[i].sizes().vec()].push_back(static_cast<int64_t>(i));
  Tensor features;  // rows in the order of the images
  for (const auto& [shape, rows] : places) {
    std::vector<Tensor> alike;
    for (const auto row : rows) alike.push_back(images[static_cast<size_t>(row)]);
    const auto some = extractor_.features(at::stack(alike));
    if (!features.defined()) features = at::empty({static_cast<int64_t>(images.size()), some.size(1)}, some.options());
    features.index_copy_(0, at::tensor(rows).to(some.device()), some);
    saw(shape.at(1), shape.at(2));
  }
  if (features.defined()) sums_.add(features);
}

Gaussian Statistics::result(Reducer& reducer) const {
  auto out = sums_.result(reducer);
  out.extractor = extractor_.name();
  out.weights = extractor_.weights_digest();
  for (const auto& size : all_gather_texts(size_, reducer)) {
    if (size.empty()) continue;  // a rank without images
    out.size = out.size.empty() || out.size == size ? size : "mixed";
  }
  return out;
}

}  // namespace sdg::metrics
