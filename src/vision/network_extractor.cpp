#include "vision/network_extractor_impl.h"

#include <torch/types.h>

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/parallel.h"
#include "sdg/core/shape.h"
#include "sdg/io/digest.h"

namespace sdg::vision {

NetworkExtractor::NetworkExtractor(std::string name, int64_t channels, int64_t batch, std::string input,
                                   at::Device device, Precision precision)
    : name_(std::move(name)),
      input_(std::move(input)),
      channels_(channels),
      batch_(batch),
      device_(device),
      precision_(precision) {}

int64_t NetworkExtractor::width(Layer layer) const {
  const auto found = widths_.find(layer);
  return found == widths_.end() ? 0 : found->second;
}

Tensor NetworkExtractor::layers(const Tensor& images, const std::vector<Layer>& wanted) {
  int64_t columns = 0;
  for (const auto layer : wanted) {
    SDG_CHECK(width(layer) > 0, name_, ": the network, or its file, has no such layer");
    columns += width(layer);
  }
  return in_batches(images, {columns}, [&](const Tensor& batch) { return batch_layers(batch, wanted); });
}

Tensor NetworkExtractor::in_batches(const Tensor& images, at::IntArrayRef shape,
                                    const std::function<Tensor(const Tensor&)>& one) const {
  check_shape(images, {-1, -1, -1, -1}, name_ + ": images");
  SDG_CHECK(images.scalar_type() == at::kByte, name_, ": images must be uint8 0..255, got ", images.scalar_type());
  torch::NoGradGuard no_grad;
  const int64_t n = images.size(0);
  auto sizes = shape.vec();
  sizes.insert(sizes.begin(), n);
  Tensor out = at::empty(sizes, at::TensorOptions(device_).dtype(at::kFloat));
  const auto part = [&](int64_t first, int64_t most) {
    const int64_t count = std::min(most, n - first);
    out.narrow(0, first, count).copy_(one(with_channels(images.narrow(0, first, count).to(device_))));
  };
  if (device_.is_cpu()) {
    // Few images are spread over all threads rather than taken together.
    const auto threads = static_cast<int64_t>(worker_pool().threads());
    const int64_t at_once = std::clamp<int64_t>(n / threads, 1, together_);
    worker_pool().run((n + at_once - 1) / at_once, [&](int64_t i) { part(i * at_once, at_once); });
  } else {
    for (int64_t first = 0; first < n; first += batch_) part(first, batch_);
  }
  return out;
}

void NetworkExtractor::remember(const torch::nn::Module& net) {
  io::Digest digest;
  const auto add = [&](const std::string& name, const Tensor& tensor) {
    if (!name.ends_with("num_batches_tracked") && !name.starts_with("fc.")) digest.text(name).tensor(tensor);
  };
  for (const auto& item : net.named_parameters()) add(item.key(), item.value());
  for (const auto& item : net.named_buffers()) add(item.key(), item.value());
  digest_ = digest.hex();
  if (precision_ == Precision::kBf16) digest_ += "-bf16";
}

void NetworkExtractor::round_matrices(torch::nn::Module& net) const {
  if (precision_ != Precision::kBf16) return;
  for (auto& item : net.named_parameters())
    if (item.key().ends_with(".weight") && item.value().dim() >= 2)
      item.value().set_data(item.value().to(at::kBFloat16));
}

Tensor NetworkExtractor::with_channels(const Tensor& images) const {
  if (images.size(1) == channels_) return images;
  if (images.size(1) == 1) return images.expand({-1, channels_, -1, -1});
  SDG_CHECK(images.size(1) == 3, name_, ": images must have 1 or 3 channels, got ", images.size(1));
  const Tensor weights = at::tensor({19595, 38470, 7471}, at::TensorOptions(images.device()).dtype(at::kInt));
  const Tensor sum = (images.to(at::kInt) * weights.view({3, 1, 1})).sum(1, /*keepdim=*/true, at::kInt);
  return at::bitwise_right_shift(sum + 32768, at::scalar_tensor(16, sum.options())).to(at::kByte);
}

}  // namespace sdg::vision
