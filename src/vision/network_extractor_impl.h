#pragma once
#include <torch/nn/module.h>

#include <functional>
#include <map>

#include "sdg/vision/feature_extractor.h"

namespace sdg::vision {

/// What every extractor shares: images spread over threads, devices, no gradients, the number of channels.
class NetworkExtractor : public FeatureExtractor {
 public:
  std::string name() const override { return name_; }
  std::string metric_name() const override { return "FD-" + name_; }
  std::string input() const override { return input_; }
  int64_t width(Layer layer) const override;
  std::string weights_digest() const override { return digest_; }
  Precision precision() const override { return precision_; }
  Tensor layers(const Tensor& images, const std::vector<Layer>& wanted) override;

 protected:
  /// `channels` and `batch` (of a GPU) as the network wants them; `input` says what its front end does.
  NetworkExtractor(std::string name, int64_t channels, int64_t batch, std::string input, at::Device device,
                   Precision precision = Precision::kFloat32);
  /// On a CPU a thread takes `count` images through the network at once (1 unless called), where that is faster and
  /// gives the same bits.
  void take_together(int64_t count) { together_ = count; }
  virtual Tensor batch_layers(const Tensor& images, const std::vector<Layer>& wanted) = 0;  // uint8 [B, channels, H, W]
  /// `one` of uint8 [B, channels, H, W] -> [B, shape...]; images spread as `layers` says -> float32 [N, shape...].
  Tensor in_batches(const Tensor& images, at::IntArrayRef shape, const std::function<Tensor(const Tensor&)>& one) const;

  /// To be called once the weights are there, before they are rounded. Counters of batches and the layer of Inception's
  /// logits, which a file may lack, do not touch the features.
  void remember(const torch::nn::Module& net);
  /// In bf16, the matrices of linear layers and convolutions, once; autocast would do it again for each image.
  void round_matrices(torch::nn::Module& net) const;
  void digest_file(std::string digest) { digest_ = std::move(digest); }

  std::map<Layer, int64_t> widths_;

 private:
  Tensor with_channels(const Tensor& images) const;

  std::string name_, input_, digest_;
  int64_t channels_, batch_, together_ = 1;
  at::Device device_;
  Precision precision_;
};

}  // namespace sdg::vision
