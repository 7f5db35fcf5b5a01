#pragma once
#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sdg/core/precision.h"
#include "sdg/core/tensor.h"

namespace sdg::vision {

/// What metrics take from a network.
enum class Layer {
  kPooled,        ///< the features that distances are taken in
  kSpatial,       ///< of Inception, [N, 2023]: sFID as the ADM evaluator takes it (InceptionFeatures::spatial_adm)
  kSpatialBlock,  ///< of Inception, [N, 2023]: sFID as sgfm and dgm-eval take it (InceptionFeatures::spatial)
  kLogits,        ///< of a classifier, [N, classes]: Inception's 1008 without their bias, others' as they are
};

/// A fixed network whose features a Fréchet distance is taken in. The distance carries the extractor's name; only
/// "inception" is FID, with pytorch-fid's front end ("inception-tf1": with torch-fidelity's and ADM's).
class FeatureExtractor {
 public:
  virtual ~FeatureExtractor() = default;
  virtual std::string name() const = 0;         ///< "inception", "cifar-resnet56", "digits", …
  virtual std::string metric_name() const = 0;  ///< "FID", "FD-cifar-resnet56", "FD-digits"
  /// What the front end makes of an image, in words, for protocols: "bilinear 299x299, half-pixel, no antialias; 2x-1".
  virtual std::string input() const = 0;
  /// Features of a layer; 0 where the network (or its file) has none.
  virtual int64_t width(Layer layer) const = 0;
  int64_t dim() const { return width(Layer::kPooled); }
  /// Digest of the weights that the features depend on, whichever file they came from; of rounded ones with what they
  /// were rounded to, so that distances between features of two precisions are refused as those of two networks.
  virtual std::string weights_digest() const = 0;
  /// What the network is computed in.
  virtual Precision precision() const { return Precision::kFloat32; }
  /// uint8 [N, C, H, W] (C 1 or 3, any size) -> float32 [N, sum of the widths], the layers side by side, on the
  /// extractor's device. Grey and colour are turned into what the network expects (to grey as Pillow's convert("L")),
  /// and so is the size, by the network's own front end. On the CPU each thread takes one image, or few where a network
  /// gives the same bits for them: neither N nor the number of threads changes a bit. On a GPU in batches. No
  /// gradients. Throws Error where the network has no such layer.
  virtual Tensor layers(const Tensor& images, const std::vector<Layer>& wanted) = 0;
  Tensor features(const Tensor& images) { return layers(images, {Layer::kPooled}); }
  /// Width of the features of places; 0 where the network has only features of whole images.
  virtual int64_t place_width() const { return 0; }
  /// Of vision transformers: images as above -> float32 [N, side * side, place_width()], the patch tokens after the
  /// final norm, row by row, of images brought to side by side patches as REPA does (bicubic, of normalised pixels, no
  /// antialias). Throws Error for other networks.
  virtual Tensor places(const Tensor& images, int64_t side);
  /// The same of the keys of the last attention layer, which LOST (regions/lost.h) looks at.
  virtual Tensor place_keys(const Tensor& images, int64_t side);
  /// Pixels of a side for one place; 0 where the network has none.
  virtual int64_t place_size() const { return 0; }
  /// So that std::ref of an extractor is a function from images to features (metrics/features.h).
  Tensor operator()(const Tensor& images) { return features(images); }
};

/// Names accepted by make_extractor, for help texts; besides them "torchscript:SIZE,RESIZE,MEAN,DEVIATION", whose
/// `weights` are a TorchScript module and which says what the module is given: sides of SIZE pixels (0: as they are) by
/// RESIZE (none, bilinear, antialiased, tf1, bicubic), less MEAN, divided by DEVIATION, of values 0 … 255.
const std::vector<std::string>& extractor_names();

/// `weights` is a safetensors or torch file, or empty for the default place: "digits" and "mnist" ship beside the
/// configs (`config_dir` is searched first); the others are looked for in the folder $SDG_WEIGHTS, then in
/// ~/.cache/sdg. A missing file's Error says what to download and where to put it; an unknown name is a UsageError.
/// bf16 is there for Inception and the vision transformers, on a GPU or a CPU that computes it natively, and a
/// UsageError elsewhere.
std::unique_ptr<FeatureExtractor> make_extractor(const std::string& name, const std::string& weights,
                                                 const at::Device& device, const std::filesystem::path& config_dir = {},
                                                 Precision precision = Precision::kFloat32);
}  // namespace sdg::vision
