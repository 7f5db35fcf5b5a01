#include "sdg/vision/feature_extractor.h"

#include <algorithm>

#include "sdg/core/error.h"
#include "sdg/core/shape.h"
#include "sdg/core/text.h"
#include "sdg/io/digest.h"
#include "sdg/tensors/weights.h"
#include "sdg/vision/cifar_resnet.h"
#include "sdg/vision/digit_classifier.h"
#include "sdg/vision/inception.h"
#include "vision/weights_file_impl.h"

namespace sdg::vision {
namespace {

// What every extractor shares: batches, devices, no gradients, and the number of channels.
class NetworkExtractor : public FeatureExtractor {
 public:
  NetworkExtractor(std::string name, int64_t dim, int64_t channels, int64_t batch, at::Device device)
      : name_(std::move(name)), dim_(dim), channels_(channels), batch_(batch), device_(device) {}

  std::string name() const override { return name_; }
  std::string metric_name() const override { return "FD-" + name_; }
  int64_t dim() const override { return dim_; }
  std::string weights_digest() const override { return digest_; }

  Tensor features(const Tensor& images) override {
    check_shape(images, {-1, -1, -1, -1}, name_ + ": images");
    SDG_CHECK(images.scalar_type() == at::kByte, name_, ": images must be uint8 0..255, got ", images.scalar_type());
    torch::NoGradGuard no_grad;
    const int64_t n = images.size(0);
    Tensor out = at::empty({n, dim_}, at::TensorOptions(device_).dtype(at::kFloat));
    for (int64_t first = 0; first < n; first += batch_) {
      const int64_t count = std::min(batch_, n - first);
      out.narrow(0, first, count).copy_(batch_features(with_channels(images.narrow(0, first, count).to(device_))));
    }
    return out;
  }

 protected:
  virtual Tensor batch_features(const Tensor& images) = 0;  // uint8 [B, channels, H, W] -> [B, dim]
  at::Device device() const { return device_; }

  /// To be called once the weights are there. Counters of batches and the layer of Inception's logits, which a file may
  /// lack, do not touch the features.
  void remember(const torch::nn::Module& net) {
    io::Digest digest;
    const auto add = [&](const std::string& name, const Tensor& tensor) {
      if (!name.ends_with("num_batches_tracked") && !name.starts_with("fc.")) digest.text(name).tensor(tensor);
    };
    for (const auto& item : net.named_parameters()) add(item.key(), item.value());
    for (const auto& item : net.named_buffers()) add(item.key(), item.value());
    digest_ = digest.hex();
  }

 private:
  Tensor with_channels(const Tensor& images) const {
    if (images.size(1) == channels_) return images;
    if (images.size(1) == 1) return images.expand({-1, channels_, -1, -1});
    SDG_CHECK(images.size(1) == 3, name_, ": images must have 1 or 3 channels, got ", images.size(1));
    const Tensor weights = at::tensor({19595, 38470, 7471}, at::TensorOptions(images.device()).dtype(at::kInt));
    const Tensor sum = (images.to(at::kInt) * weights.view({3, 1, 1})).sum(1, /*keepdim=*/true, at::kInt);
    return at::bitwise_right_shift(sum + 32768, at::scalar_tensor(16, sum.options())).to(at::kByte);
  }

  std::string name_, digest_;
  int64_t dim_, channels_, batch_;
  at::Device device_;
};

// One network, two front ends: distances across them mean nothing, so each has a name of its own.
class InceptionExtractor : public NetworkExtractor {
 public:
  using FrontEnd = Tensor (*)(const Tensor& images);
  InceptionExtractor(const std::string& name, std::string metric, FrontEnd front_end,
                     const std::filesystem::path& weights, at::Device device)
      : NetworkExtractor(name, 2048, 3, 32, device), metric_(std::move(metric)), front_end_(front_end) {
    net_->load_state(tensors::read_weights(weights).tensors, weights.string());
    remember(*net_);
    net_->to(device);
  }
  std::string metric_name() const override { return metric_; }

 protected:
  Tensor batch_features(const Tensor& images) override { return net_(front_end_(images)).f2048; }

 private:
  std::string metric_;
  FrontEnd front_end_;
  FidInception net_;
};

class CifarExtractor : public NetworkExtractor {
 public:
  CifarExtractor(const std::string& name, int64_t depth, const std::filesystem::path& weights, at::Device device)
      : NetworkExtractor(name, 64, 3, 128, device), net_(depth) {
    net_->load_state(tensors::read_weights(weights).tensors, weights.string());
    remember(*net_);
    net_->to(device);
  }

 protected:
  Tensor batch_features(const Tensor& images) override { return net_->features(cifar_resnet_input(images)); }

 private:
  CifarResNet net_;
};

class DigitExtractor : public NetworkExtractor {
 public:
  DigitExtractor(const std::filesystem::path& weights, at::Device device)
      : NetworkExtractor("digits", 64, 1, 512, device) {
    net_->load_state(tensors::read_weights(weights).tensors, weights.string());
    remember(*net_);
    net_->to(device);
  }

 protected:
  Tensor batch_features(const Tensor& images) override { return net_->features(digit_classifier_input(images)); }

 private:
  DigitClassifier net_;
};

const char* const kInceptionUrl =
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth";
const char* const kCifarUrl = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/";

using Builder = std::unique_ptr<FeatureExtractor> (*)(const std::filesystem::path& weights, at::Device device);
struct Entry {
  WeightsSource source;
  Builder build;
};

// The one table of extractors.
const std::vector<Entry>& entries() {
  static const std::vector<Entry> table = {
      {{"inception", "inception.safetensors", kInceptionUrl},
       [](const std::filesystem::path& weights, at::Device device) -> std::unique_ptr<FeatureExtractor> {
         return std::make_unique<InceptionExtractor>("inception", "FID", inception_input_pytorch_fid, weights, device);
       }},
      {{"inception-tf1", "inception.safetensors", kInceptionUrl},
       [](const std::filesystem::path& weights, at::Device device) -> std::unique_ptr<FeatureExtractor> {
         return std::make_unique<InceptionExtractor>("inception-tf1", "FID-tf1", inception_input_tf1, weights, device);
       }},
      {{"cifar-resnet20", "cifar10_resnet20.safetensors", cat(kCifarUrl, "resnet20-12fca82f.th")},
       [](const std::filesystem::path& weights, at::Device device) -> std::unique_ptr<FeatureExtractor> {
         return std::make_unique<CifarExtractor>("cifar-resnet20", 20, weights, device);
       }},
      {{"cifar-resnet56", "cifar10_resnet56.safetensors", cat(kCifarUrl, "resnet56-4bfd9763.th")},
       [](const std::filesystem::path& weights, at::Device device) -> std::unique_ptr<FeatureExtractor> {
         return std::make_unique<CifarExtractor>("cifar-resnet56", 56, weights, device);
       }},
      {{"digits", "digits_classifier.safetensors", ""},
       [](const std::filesystem::path& weights, at::Device device) -> std::unique_ptr<FeatureExtractor> {
         return std::make_unique<DigitExtractor>(weights, device);
       }},
  };
  return table;
}
}  // namespace

const std::vector<std::string>& extractor_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& entry : entries()) out.push_back(entry.source.extractor);
    return out;
  }();
  return names;
}

std::unique_ptr<FeatureExtractor> make_extractor(const std::string& name, const std::string& weights,
                                                 const at::Device& device, const std::filesystem::path& config_dir) {
  for (const auto& entry : entries()) {
    if (entry.source.extractor == name) return entry.build(find_weights(entry.source, weights, config_dir), device);
  }
  throw UsageError(cat("extractor must be one of ", join(extractor_names()), "; got ", name));
}

}  // namespace sdg::vision
