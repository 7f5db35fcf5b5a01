#include "sdg/vision/feature_extractor.h"

#include <functional>
#include <mutex>

#include "sdg/config/names.h"
#include "sdg/core/error.h"
#include "sdg/core/text.h"
#include "sdg/tensors/weights.h"
#include "sdg/vision/cifar_resnet.h"
#include "sdg/vision/clip.h"
#include "sdg/vision/digit_classifier.h"
#include "sdg/vision/inception.h"
#include "sdg/vision/mnist_classifier.h"
#include "sdg/vision/vit.h"
#include "vision/network_extractor_impl.h"
#include "vision/torchscript_impl.h"
#include "vision/weights_file_impl.h"

namespace sdg::vision {
namespace {

// One network, two front ends: distances across them mean nothing, so each has a name of its own.
class InceptionExtractor : public NetworkExtractor {
 public:
  using FrontEnd = Tensor (*)(const Tensor& images);
  InceptionExtractor(const std::string& name, std::string metric, FrontEnd front_end, const std::string& input,
                     const std::filesystem::path& weights, at::Device device, Precision precision)
      : NetworkExtractor(name, 3, 32, input, device, precision),
        metric_(std::move(metric)),
        front_end_(front_end),
        packs_(device.is_cpu()) {
    const auto file = tensors::read_weights(weights).tensors;
    net_->load_state(file, weights.string());
    remember(*net_);
    net_->to(device);
    net_->fold(precision == Precision::kBf16 ? at::kBFloat16 : at::kFloat);
    take_together(kTogether);
    widths_ = {{Layer::kPooled, 2048}, {Layer::kSpatial, 2023}, {Layer::kSpatialBlock, 2023}};
    if (file.count("fc.weight")) widths_[Layer::kLogits] = 1008;
  }
  std::string metric_name() const override { return metric_; }

 protected:
  Tensor batch_layers(const Tensor& images, const std::vector<Layer>& wanted) override {
    if (packs_) std::call_once(packed_, [&] { net_->pack(kTogether); });  // not where only statistics are compared
    const auto all = net_(front_end_(images));
    std::vector<Tensor> out;
    for (const auto layer : wanted)
      out.push_back(layer == Layer::kPooled         ? all.f2048
                    : layer == Layer::kSpatial      ? all.spatial_adm
                    : layer == Layer::kSpatialBlock ? all.spatial
                                                    : all.logits_unbiased);
    return at::cat(out, 1);
  }

 private:
  static constexpr int64_t kTogether = 4;
  std::string metric_;
  FrontEnd front_end_;
  bool packs_;
  std::once_flag packed_;
  FidInception net_;
};

// Features and logits of a small classifier.
template <class Net, Tensor (*kInput)(const Tensor&)>
class ClassifierExtractor : public NetworkExtractor {
 public:
  ClassifierExtractor(const std::string& name, int64_t channels, int64_t batch, const std::string& input, Net net,
                      const std::filesystem::path& weights, at::Device device)
      : NetworkExtractor(name, channels, batch, input, device), net_(std::move(net)) {
    net_->load_state(tensors::read_weights(weights).tensors, weights.string());
    remember(*net_);
    net_->to(device);
    widths_ = {{Layer::kPooled, 64}, {Layer::kLogits, 10}};
  }

 protected:
  Tensor batch_layers(const Tensor& images, const std::vector<Layer>& wanted) override {
    const Tensor x = kInput(images);
    std::vector<Tensor> out;
    for (const auto layer : wanted) out.push_back(layer == Layer::kLogits ? net_->forward(x) : net_->features(x));
    return at::cat(out, 1);
  }

 private:
  Net net_;
};
using CifarExtractor = ClassifierExtractor<CifarResNet, cifar_resnet_input>;
using DigitExtractor = ClassifierExtractor<DigitClassifier, digit_classifier_input>;
using MnistExtractor = ClassifierExtractor<MnistClassifier, mnist_classifier_input>;

class VitExtractor : public NetworkExtractor {
 public:
  VitExtractor(const std::string& name, std::string metric, PositionResize resize, const std::filesystem::path& weights,
               at::Device device, Precision precision)
      : NetworkExtractor(name, 3, 32, "bicubic 224x224 in bytes as Pillow's; ImageNet's mean and deviation", device,
                         precision),
        metric_(std::move(metric)) {
    const auto named = vit_weights(tensors::read_weights(weights).tensors);
    const auto shape = vit_shape(named, weights.string(), 0, resize);
    net_ = Vit(shape);
    net_->load_state(named, weights.string());
    remember(*net_);
    round_matrices(*net_);
    net_->to(device);
    widths_ = {{Layer::kPooled, shape.dim}};
    patch_ = shape.patch;
  }
  std::string metric_name() const override { return metric_; }
  int64_t place_width() const override { return dim(); }
  Tensor places(const Tensor& images, int64_t side) override {
    return in_batches(images, {side * side, dim()}, [&](const Tensor& batch) {
      const Tensor x = vit_input_in_floats(batch, side * patch_);
      const PrecisionScope scope(precision(), x.device());
      return net_->forward(x).patches;
    });
  }
  Tensor place_keys(const Tensor& images, int64_t side) override {
    return in_batches(images, {side * side, dim()}, [&](const Tensor& batch) {
      const Tensor x = vit_input_in_floats(batch, side * patch_);
      const PrecisionScope scope(precision(), x.device());
      return net_->keys(x);
    });
  }
  int64_t place_size() const override { return patch_; }

 protected:
  Tensor batch_layers(const Tensor& images, const std::vector<Layer>&) override {
    const Tensor x = vit_input(images, 224);
    const PrecisionScope scope(precision(), x.device());
    return net_->features(x);
  }

 private:
  std::string metric_;
  int64_t patch_ = 0;
  Vit net_{nullptr};
};

class ClipExtractor : public NetworkExtractor {
 public:
  ClipExtractor(const std::string& name, const std::filesystem::path& weights, at::Device device, Precision precision)
      : NetworkExtractor(name, 3, 32,
                         "shorter side by bicubic in bytes as Pillow's, middle square; CLIP's normalisation", device,
                         precision) {
    const auto named = clip_weights(tensors::read_weights(weights).tensors);
    const auto shape = clip_shape(named, weights.string());
    size_ = shape.side * shape.patch;
    net_ = ClipImageTower(shape);
    net_->load_state(named, weights.string());
    remember(*net_);
    round_matrices(*net_);
    net_->to(device);
    widths_ = {{Layer::kPooled, shape.embedding}};
  }

 protected:
  Tensor batch_layers(const Tensor& images, const std::vector<Layer>&) override {
    const Tensor x = clip_input(images, size_);
    const PrecisionScope scope(precision(), x.device());
    return net_->forward(x);
  }

 private:
  int64_t size_ = 0;
  ClipImageTower net_{nullptr};
};

const char* const kInceptionUrl =
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth";
const char* const kCifarUrl = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/";

using Builder = std::function<std::unique_ptr<FeatureExtractor>(const std::filesystem::path& weights, at::Device device,
                                                                Precision precision)>;
struct Entry {
  WeightsSource source;
  Builder build;
  bool knows_bf16 = false;
};

const char* const kDinoUrl = "https://dl.fbaipublicfiles.com/dino/";
const char* const kDinov2Url = "https://dl.fbaipublicfiles.com/dinov2/";

Entry inception(const std::string& name, const std::string& metric, InceptionExtractor::FrontEnd front_end,
                const std::string& input) {
  return {{name, "inception.safetensors", kInceptionUrl},
          [=](const std::filesystem::path& weights, at::Device device, Precision precision) {
            return std::make_unique<InceptionExtractor>(name, metric, front_end, input, weights, device, precision);
          },
          /*knows_bf16=*/true};
}

Entry cifar(int64_t depth, const std::string& file) {
  const auto name = cat("cifar-resnet", depth);
  return {{name, cat("cifar10_resnet", depth, ".safetensors"), kCifarUrl + file},
          [=](const std::filesystem::path& weights, at::Device device, Precision) {
            return std::make_unique<CifarExtractor>(name, 3, 128,
                                                    "bilinear 32x32, antialiased; ImageNet's mean and deviation",
                                                    CifarResNet(depth), weights, device);
          }};
}

Entry vit(const std::string& name, const std::string& metric, PositionResize resize, const std::string& url) {
  return {{name, name + ".safetensors", url},
          [=](const std::filesystem::path& weights, at::Device device, Precision precision) {
            return std::make_unique<VitExtractor>(name, metric, resize, weights, device, precision);
          },
          /*knows_bf16=*/true};
}

Entry clip(const std::string& name, const std::string& repository) {
  return {{name, name + ".safetensors", cat("https://huggingface.co/openai/", repository, " (model.safetensors)")},
          [=](const std::filesystem::path& weights, at::Device device, Precision precision) {
            return std::make_unique<ClipExtractor>(name, weights, device, precision);
          },
          /*knows_bf16=*/true};
}

// The one table of extractors.
const std::vector<Entry>& entries() {
  using enum PositionResize;
  static const std::vector<Entry> table = {
      inception("inception", "FID", inception_input_pytorch_fid,
                "bilinear 299x299, half-pixel, no antialias; 2x-1 of [0, 1]"),
      inception("inception-tf1", "FID-tf1", inception_input_tf1, "TF1's bilinear 299x299; (x-128)/128"),
      cifar(20, "resnet20-12fca82f.th"),
      cifar(56, "resnet56-4bfd9763.th"),
      vit("dino-vits16", "FD-dino-vits16", kOffsetScale,
          cat(kDinoUrl, "dino_deitsmall16_pretrain/dino_deitsmall16_pretrain.pth")),
      vit("dino-vits8", "FD-dino-vits8", kOffsetScale,
          cat(kDinoUrl, "dino_deitsmall8_pretrain/dino_deitsmall8_pretrain.pth")),
      vit("dino-vitb16", "FD-dino-vitb16", kOffsetScale,
          cat(kDinoUrl, "dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth")),
      vit("dinov2-vits14", "FD-dinov2-vits14", kOffsetScale,
          cat(kDinov2Url, "dinov2_vits14/dinov2_vits14_pretrain.pth")),
      vit("dinov2-vitb14", "FD-dinov2-vitb14", kOffsetScale,
          cat(kDinov2Url, "dinov2_vitb14/dinov2_vitb14_pretrain.pth")),
      vit("dinov2-vitl14", "FD-DINOv2", kOffsetScale, cat(kDinov2Url, "dinov2_vitl14/dinov2_vitl14_pretrain.pth")),
      vit("dinov2-vitl14-reg", "FD-dinov2-vitl14-reg", kAntialiased,
          cat(kDinov2Url, "dinov2_vitl14/dinov2_vitl14_reg4_pretrain.pth")),
      clip("clip-vitb32", "clip-vit-base-patch32"),
      clip("clip-vitb16", "clip-vit-base-patch16"),
      clip("clip-vitl14", "clip-vit-large-patch14"),
      {{"digits", "digits_classifier.safetensors", ""},
       [](const std::filesystem::path& weights, at::Device device, Precision) {
         return std::make_unique<DigitExtractor>("digits", 1, 512, "bilinear 8x8 grey, antialiased; [0, 1]",
                                                 DigitClassifier(), weights, device);
       }},
      {{"mnist", "mnist_classifier.safetensors", ""},
       [](const std::filesystem::path& weights, at::Device device, Precision) {
         return std::make_unique<MnistExtractor>("mnist", 1, 128, "bilinear 28x28 grey, antialiased; [0, 1]",
                                                 MnistClassifier(), weights, device);
       }},
  };
  return table;
}
}  // namespace

Tensor FeatureExtractor::places(const Tensor& /*images*/, int64_t /*side*/) {
  throw Error(cat(name(), ": has features of whole images, not of places"));
}

Tensor FeatureExtractor::place_keys(const Tensor& /*images*/, int64_t /*side*/) {
  throw Error(cat(name(), ": has no attention layer whose keys say where things are"));
}

const std::vector<std::string>& extractor_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const auto& entry : entries()) out.push_back(entry.source.extractor);
    return out;
  }();
  return names;
}

std::unique_ptr<FeatureExtractor> make_extractor(const std::string& name, const std::string& weights,
                                                 const at::Device& device, const std::filesystem::path& config_dir,
                                                 Precision precision) {
  const bool rounded = precision != Precision::kFloat32;
  if (rounded) check_precision(precision, device, "--extractor-precision");
  const auto check_float32 = [&](bool there) {
    SDG_CHECK_USAGE(!rounded || (there && precision == Precision::kBf16), "--extractor-precision: ", name,
                    " is computed in float32; bf16 is there for Inception, DINO, DINOv2 and CLIP, got ",
                    config::name(precision));
  };
  if (names_torchscript(name)) {
    check_float32(false);
    SDG_CHECK_USAGE(std::filesystem::is_regular_file(weights), "extractor ", name,
                    ": its weights must name the module's file, got ", weights.empty() ? "none" : weights);
    return torchscript_extractor(name, weights, device);
  }
  for (const auto& entry : entries()) {
    if (entry.source.extractor != name) continue;
    check_float32(entry.knows_bf16);
    return entry.build(find_weights(entry.source, weights, config_dir), device, precision);
  }
  throw UsageError(cat("extractor must be one of ", join(extractor_names()),
                       ", torchscript:SIZE,RESIZE,MEAN,DEVIATION; got ", name));
}

}  // namespace sdg::vision
