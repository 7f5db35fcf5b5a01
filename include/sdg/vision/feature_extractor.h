#pragma once
#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sdg/core/tensor.h"

namespace sdg::vision {
/// A fixed network whose features a Fréchet distance is taken in. The distance carries the extractor's name; only
/// "inception" is FID, with pytorch-fid's front end ("inception-tf1": with torch-fidelity's and ADM's).
class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;
  virtual std::string name() const = 0;         ///< "inception", "cifar-resnet56", "digits", …
  virtual std::string metric_name() const = 0;  ///< "FID", "FD-cifar-resnet56", "FD-digits"
  virtual int64_t dim() const = 0;
  /// Digest of the weights that the features depend on, whichever file they came from.
  virtual std::string weights_digest() const = 0;
  /// uint8 [N, C, H, W] (C 1 or 3, any size) -> float32 [N, dim] on the extractor's device. Grey and colour are turned
  /// into what the network expects (to grey as Pillow's convert("L")), and so is the size, by the network's own front
  /// end. Works through N in batches, without gradients.
  virtual Tensor features(const Tensor& images) = 0;
  /// So that std::ref of an extractor is a function from images to features (metrics/features.h).
  Tensor operator()(const Tensor& images) { return features(images); }
};

/// Names accepted by make_extractor, for help texts.
const std::vector<std::string>& extractor_names();

/// `weights` is a safetensors file, or empty for the default place: "digits" ships beside the configs (`config_dir` is
/// searched first); "inception" and the CIFAR ResNets are looked for in the folder $SDG_WEIGHTS, then in ~/.cache/sdg.
/// A missing file's Error says what to download and where to put it; an unknown name is a UsageError.
std::unique_ptr<FeatureExtractor> make_extractor(const std::string& name, const std::string& weights,
                                                 const at::Device& device = at::kCPU,
                                                 const std::filesystem::path& config_dir = {});
}  // namespace sdg::vision
